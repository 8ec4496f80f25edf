"""What generators and linters of the field make of the API's description."""
