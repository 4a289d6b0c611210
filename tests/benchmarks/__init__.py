"""Speed, measured through the public API as a signed-in user with the durability that everybody gets."""
