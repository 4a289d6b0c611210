"""Services: deployed revisions, their replicas, who gets which traffic, and the keys to them."""
