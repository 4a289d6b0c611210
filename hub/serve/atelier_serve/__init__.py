"""The model server: one model folder behind the Open Inference Protocol. Imports nothing else of Atelier."""

__version__ = "0.1.0"
