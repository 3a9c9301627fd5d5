"""`builder soak`: whether an image stands a load, and what came of earlier ones."""
