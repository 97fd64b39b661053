"""Reports as HTML pages: charts, and the report of a coreset."""
