"""The pure domain of Atelier: types and rules, without a web server, a database, Jupyter or a cluster."""
