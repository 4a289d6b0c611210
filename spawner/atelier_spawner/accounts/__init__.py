"""Accounts of people, kept by Atelier itself for hubs without another place to sign in."""
