"""Pages of the documentation that are made from the code, and the hook that puts them into the site."""
