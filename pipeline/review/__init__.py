"""The review page: scored videos to look at in a browser, without network."""
