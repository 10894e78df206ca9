"""Market Parser, the sample application: an API server, a web front end and the data that both show.

It is an application of its own: nothing here imports the rest of the package, and nothing of the package imports it.
"""
