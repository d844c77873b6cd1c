from cython_ext.dispatch.covering import stand_by as stand_by
