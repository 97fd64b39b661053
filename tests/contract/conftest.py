"""The application of the HTTP tests."""

from tests.app.conftest import app, client, csv, finisher, make_client, make_key

__all__ = ["app", "client", "csv", "finisher", "make_client", "make_key"]
