"""A stand-in for Stripe that speaks real HTTP to the real SDK: see README.md."""
