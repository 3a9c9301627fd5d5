"""What is adopted, what upstream has, what would be taken, and what lies between."""
