"""The web console at ``/``: pages rendered on the server, which show the API's answers."""
