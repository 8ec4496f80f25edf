"""What templates say about credits."""
