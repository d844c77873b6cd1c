from cython_ext.dispatch.reference import choices as choices
from cython_ext.dispatch.reference import search as search
from cython_ext.dispatch.reference import stand_by as stand_by
from cython_ext.dispatch.reference import timetables as timetables
