"""What the window is made of; each view reads the session model."""
