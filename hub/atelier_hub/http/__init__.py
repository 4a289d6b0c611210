"""HTTP: errors, paging, ETags, limits, OpenAPI."""
