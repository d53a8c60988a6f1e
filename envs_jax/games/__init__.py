"""Small worlds that test one ability each."""
