"""What people say about dispatch, and what shortage says: overrides of the planner, and peak pay by cell."""
