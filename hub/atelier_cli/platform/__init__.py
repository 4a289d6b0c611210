"""The platform on one machine: hub, proxy and control plane as supervised processes of one data folder."""
