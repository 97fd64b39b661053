"""The web console at ``/``: pages made on the server, which show what the API answers."""
