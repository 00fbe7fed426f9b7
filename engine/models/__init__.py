"""The model files that workflows require: what is there, and how the rest is had."""
