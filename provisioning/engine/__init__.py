"""What workers do in AWS: look, compare with what should be, close the gap, record."""
