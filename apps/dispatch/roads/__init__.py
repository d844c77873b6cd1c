"""How fast shoppers drive, by zone and hour: ``manage.py fit_roads`` learns it, planners ask ``stored.newest()``."""
