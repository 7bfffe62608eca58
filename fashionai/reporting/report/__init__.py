"""The report: one HTML file that shows how good runs are, where they err, and on which data."""
