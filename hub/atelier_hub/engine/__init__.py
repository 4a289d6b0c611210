"""The engine: carries runs on by `decide`, and keeps attempts and back ends in step."""
