"""What moves: requests, decisions, grants, and what follows from them in AWS."""
