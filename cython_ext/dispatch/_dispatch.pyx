# distutils: extra_compile_args = -ffp-contract=off -fno-math-errno -fno-trapping-math
"""Compiled twin of ``reference.py``: same names, same answers, same errors. Other threads run while it searches."""

from libc.math cimport exp, log, sqrt
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from cython_ext.dispatch._routes cimport (
    LOADS, MOST_STOPS, NEVER, Data, Mark, Route, Slot, State, begin, best_insertion, carry_aboard, drop, ending, leg,
    one_more, pick, resume, walk
)

from cython_ext.dispatch import checks
from cython_ext.dispatch._covering import stand_by
from cython_ext.dispatch.problem import Answer, Choice

cdef enum:
    SLOTS = 64
    ENDS = 4
    ENDS_LAST = 16
    ALIKE = 20
    DOORS = 12
    FEW_SHOPPERS = 48
    WIDE = 96
    LOOSE_TRIED = 3
    EXCHANGES = 2

cdef double HOT = 5.0
cdef double COLD = 0.2
cdef double BLINK = 0.01
cdef int STRINGS = 6
cdef int LONGEST = 6

cdef struct Keyed:
    double key
    int item

cdef struct Search:
    Data d
    Route* routes
    Route* saved
    Route* best
    int* where
    int* touched
    int touched_n
    int* stamp
    int clock
    int* seen
    int mark
    char* is_dirty
    int* dirty
    int dirty_n
    Slot* slots
    uint64_t version
    uint64_t state
    double cost
    double best_cost
    int alike_n, doors_n
    bint is_wide
    int* alike
    int* doors
    int* row
    int* ends
    int* ends_age
    int* gone
    int gone_n
    double* key
    int* loose
    int loose_n
    int* loose_at
    double* end_x
    double* end_y
    double* end_leave
    double* end_reach
    double* end_more
    double* guess


cdef inline double chance(Search* s) noexcept nogil:
    cdef uint64_t z
    s.state += <uint64_t>0x9E3779B97F4A7C15
    z = s.state
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    z = z ^ (z >> 31)
    return <double>(z >> 11) * (1.0 / 9007199254740992.0)


cdef inline int below(Search* s, int n) noexcept nogil:
    return <int>(chance(s) * n)


cdef inline double seconds_now() noexcept nogil:
    cdef timespec moment
    clock_gettime(CLOCK_MONOTONIC, &moment)
    return moment.tv_sec + moment.tv_nsec * 1e-9


cdef int by_key(const void* a, const void* b) noexcept nogil:
    cdef double p = (<const Keyed*>a).key, q = (<const Keyed*>b).key
    if p != q:
        return -1 if p < q else 1
    return (<const Keyed*>a).item - (<const Keyed*>b).item


cdef void least(Keyed* a, int n, int k) noexcept nogil:
    """Bring the k least to the front, in order."""
    cdef int low = 0, high = n - 1, i, j
    cdef Keyed pivot, other
    while k < n and low < high:
        pivot = a[(low + high) // 2]
        i = low
        j = high
        while i <= j:
            while by_key(&a[i], &pivot) < 0:
                i += 1
            while by_key(&pivot, &a[j]) < 0:
                j -= 1
            if i <= j:
                other = a[i]
                a[i] = a[j]
                a[j] = other
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    qsort(a, k if k < n else n, sizeof(Keyed), by_key)


# ------------------------------------------------------------------ who is near

cdef void find_neighbours(Search* s, Keyed* keyed, Keyed* stores, int* place, int* head, int* follow) noexcept nogil:
    cdef Data* d = &s.d
    cdef int rows = 0, o, p, row, q, k, count, other
    for p in range(d.places):
        s.row[p] = -1
    for o in range(d.n):
        p = d.order_store[o]
        if s.row[p] < 0:
            s.row[p] = rows
            place[rows] = p
            head[rows] = -1
            rows += 1
        follow[o] = head[s.row[p]]
        head[s.row[p]] = o
    for row in range(rows):
        p = place[row]
        for o in range(d.n):
            keyed[o].key = leg(d, d.order_door[o], p)
            keyed[o].item = o
        least(keyed, d.n, s.doors_n)
        for q in range(s.doors_n):
            s.doors[row * s.doors_n + q] = keyed[q].item
        for q in range(rows):
            stores[q].key = leg(d, p, place[q])
            stores[q].item = q
        qsort(stores, rows, sizeof(Keyed), by_key)
        o = head[row]
        while o >= 0:
            count = 0
            for q in range(rows):
                if count > 6 * s.alike_n:
                    break
                other = head[stores[q].item]
                while other >= 0:
                    if other != o:
                        keyed[count].key = stores[q].key + leg(d, d.order_door[o], d.order_door[other])
                        keyed[count].item = other
                        count += 1
                    other = follow[other]
            k = s.alike_n if count > s.alike_n else count
            least(keyed, count, k)
            for q in range(s.alike_n):
                s.alike[<Py_ssize_t>o * s.alike_n + q] = keyed[q].item if q < k else -1
            o = follow[o]


# ------------------------------------------------------------------ changing routes

cdef inline void copy_route(Route* to, const Route* r) noexcept nogil:
    memcpy(to, r, sizeof(Route) - sizeof(Mark) * (MOST_STOPS - r.n))


cdef inline void note_end(Search* s, int k) noexcept nogil:
    cdef Route* r = &s.routes[k]
    s.end_x[k] = s.d.x[r.at[r.n].node]
    s.end_y[k] = s.d.y[r.at[r.n].node]
    s.end_leave[k] = r.at[r.n].leave
    s.end_reach[k] = s.d.radius if r.n == 0 else NEVER
    s.end_more[k] = one_more(&s.d, r)


cdef inline void touch(Search* s, int k) noexcept nogil:
    if s.stamp[k] != s.clock:
        s.stamp[k] = s.clock
        copy_route(&s.saved[k], &s.routes[k])
        s.touched[s.touched_n] = k
        s.touched_n += 1
    s.version += 1
    s.routes[k].version = s.version


cdef void take_out(Search* s, int o) noexcept nogil:
    cdef int k = s.where[o], i, w = 0, first = -1, other
    cdef Route* r = &s.routes[k]
    touch(s, k)
    s.cost -= r.cost
    for i in range(r.n):
        if r.at[i].stop >> 1 == o:
            if first < 0:
                first = i
        else:
            r.at[w].stop = r.at[i].stop
            w += 1
    r.n = w
    s.where[o] = -1
    s.cost += s.d.unserved[o]
    s.gone[s.gone_n] = o
    s.gone_n += 1
    if not walk(&s.d, r, first):
        # Without its beginning the rest starts too far away.
        w = 0
        for i in range(r.n):
            other = r.at[i].stop >> 1
            if s.d.pin[other] >= 0:
                r.at[w].stop = r.at[i].stop
                w += 1
            elif s.where[other] >= 0:
                s.where[other] = -1
                s.cost += s.d.unserved[other]
                s.gone[s.gone_n] = other
                s.gone_n += 1
        r.n = w
        walk(&s.d, r, 0)
    s.cost += r.cost
    note_end(s, k)


cdef void put_in(Search* s, int o, int k, int i, int j) noexcept nogil:
    cdef Route* r = &s.routes[k]
    cdef int q = r.n - 1
    touch(s, k)
    s.cost -= r.cost
    while q >= j:
        r.at[q + 2].stop = r.at[q].stop
        q -= 1
    r.at[j + 1].stop = 2 * o + 1
    while q >= i:
        r.at[q + 1].stop = r.at[q].stop
        q -= 1
    r.at[i].stop = 2 * o
    r.n += 2
    walk(&s.d, r, i)
    s.cost += r.cost - s.d.unserved[o]
    s.where[o] = k
    note_end(s, k)


# ------------------------------------------------------------------ putting one order in

cdef void guess_ends(Search* s, int o) noexcept nogil:
    cdef Data* d = &s.d
    cdef int k, m = d.m, store = d.order_store[o]
    cdef double x = d.x[store], y = d.y[store], pace = 1 / d.speed, half = d.half_pick, ready = d.ready[o]
    cdef double due = d.due[o], late = d.late[o], wait = d.wait[o], drive = d.drive, busy = d.busy
    cdef double placed = d.placed[o], direct = leg(d, store, d.order_door[o]), rest = d.half_pick + d.half_drop + direct
    cdef double dx, dy, way, act, over, no
    cdef const double* off = d.off
    cdef double* end_x = s.end_x
    cdef double* end_y = s.end_y
    cdef double* end_leave = s.end_leave
    cdef double* end_reach = s.end_reach
    cdef double* end_more = s.end_more
    cdef double* guess = s.guess
    for k in range(m):
        dx = end_x[k] - x
        dy = end_y[k] - y
        way = sqrt(dx * dx + dy * dy) * pace
        act = end_leave[k] + way + half
        act = act if act > ready else ready
        no = 0 if act <= off[k] else 1e9
        no = no if way <= end_reach[k] else 1e9
        over = act + rest - due
        over = over if over > 0 else 0
        guess[k] = (
            drive * (way + direct) + late * over + wait * (act + rest - placed) + busy * (act + rest - end_leave[k])
            + end_more[k] + no
        )


cdef void best_ends(Search* s, int o) noexcept nogil:
    """Note down the routes that look cheapest to put o last in."""
    cdef double top[ENDS]
    cdef int* who = &s.ends[o * ENDS]
    cdef int q, k
    for q in range(ENDS):
        top[q] = NEVER
        who[q] = -1
    guess_ends(s, o)
    for k in range(s.d.m):
        if s.guess[k] < top[ENDS - 1]:
            q = ENDS - 1
            while q > 0 and s.guess[k] < top[q - 1]:
                top[q] = top[q - 1]
                who[q] = who[q - 1]
                q -= 1
            top[q] = s.guess[k]
            who[q] = k


cdef inline Slot* weighed(Search* s, int o, int k, double limit) noexcept nogil:
    cdef Slot* slot = &s.slots[<Py_ssize_t>o * SLOTS + k % SLOTS]
    cdef Route* r = &s.routes[k]
    if slot.route != k or slot.version != r.version or (slot.i < 0 and slot.delta < limit):
        slot.route = k
        slot.version = r.version
        best_insertion(&s.d, r, o, limit, slot)
    return slot


cdef inline void consider(Search* s, int o, int k, double blink, double* best, int* who) noexcept nogil:
    cdef Slot* slot
    if k < 0 or s.seen[k] == s.mark:
        return
    s.seen[k] = s.mark
    if blink > 0 and chance(s) < blink:
        return
    slot = weighed(s, o, k, best[0])
    if slot.i >= 0 and slot.delta < best[0]:
        best[0] = slot.delta
        who[0] = k


cdef bint insert(Search* s, int o, double blink) noexcept nogil:
    cdef Data* d = &s.d
    cdef double best = d.unserved[o]
    cdef int who = -1, q, k, row = s.row[d.order_store[o]]
    cdef Slot* slot
    s.mark += 1
    if d.pin[o] >= 0:
        consider(s, o, d.pin[o], 0, &best, &who)
    elif d.m <= FEW_SHOPPERS:
        for k in range(d.m):
            consider(s, o, k, blink, &best, &who)
    else:
        if s.is_wide or s.ends_age[o] <= 0:
            s.ends_age[o] = ENDS_LAST
            best_ends(s, o)
        s.ends_age[o] -= 1
        if not s.is_wide:
            for q in range(s.touched_n):
                consider(s, o, s.touched[q], blink, &best, &who)
        for q in range(ENDS):
            consider(s, o, s.ends[o * ENDS + q], blink, &best, &who)
        for q in range(s.alike_n):
            k = s.alike[<Py_ssize_t>o * s.alike_n + q]
            if k < 0:
                break
            consider(s, o, s.where[k], blink, &best, &who)
        for q in range(s.doors_n):
            consider(s, o, s.where[s.doors[row * s.doors_n + q]], blink, &best, &who)
    if who < 0:
        return False
    slot = weighed(s, o, who, NEVER)
    put_in(s, o, who, slot.i, slot.j)
    return True


# ------------------------------------------------------------------ ruin and recreate

cdef void ruin(Search* s) noexcept nogil:
    cdef Data* d = &s.d
    cdef int seed = below(s, d.n), strings = 1 + below(s, STRINGS), q = -1, o, k, i, count, at, length, first
    cdef int inside[MOST_STOPS]
    cdef Route* r
    s.gone_n = 0
    s.mark += 1
    while q < s.alike_n and strings > 0:
        o = seed if q < 0 else s.alike[<Py_ssize_t>seed * s.alike_n + q]
        q += 1
        if o < 0:
            break
        k = s.where[o]
        if k < 0 or s.seen[k] == s.mark:
            continue
        s.seen[k] = s.mark
        r = &s.routes[k]
        count = at = 0
        for i in range(r.n):
            if not (r.at[i].stop & 1) and d.pin[r.at[i].stop >> 1] < 0:
                if r.at[i].stop >> 1 == o:
                    at = count
                inside[count] = r.at[i].stop >> 1
                count += 1
        if count == 0:
            continue
        strings -= 1
        length = 1 + below(s, count if count < LONGEST else LONGEST)
        first = at - below(s, length)
        if first + length > count:
            first = count - length
        if first < 0:
            first = 0
        for i in range(first, first + length):
            if s.where[inside[i]] >= 0:
                take_out(s, inside[i])


cdef void arrange(Search* s) noexcept nogil:
    cdef Data* d = &s.d
    cdef int how = below(s, 8), i, j, o
    cdef double key
    for i in range(s.gone_n):
        o = s.gone[i]
        if how < 3:
            s.key[i] = chance(s)
        elif how < 5:
            s.key[i] = d.due[o]
        elif how < 7:
            s.key[i] = -leg(d, d.order_store[o], d.order_door[o])
        else:
            s.key[i] = d.ready[o]
    for i in range(1, s.gone_n):
        key = s.key[i]
        o = s.gone[i]
        j = i - 1
        while j >= 0 and s.key[j] > key:
            s.key[j + 1] = s.key[j]
            s.gone[j + 1] = s.gone[j]
            j -= 1
        s.key[j + 1] = key
        s.gone[j + 1] = o


cdef void add_loose(Search* s) noexcept nogil:
    """Let some of the orders that nobody has be tried as well."""
    cdef int count = s.loose_n if s.loose_n < LOOSE_TRIED else LOOSE_TRIED, i, k, o
    for i in range(count):
        o = s.loose[i] if s.loose_n <= LOOSE_TRIED else s.loose[below(s, s.loose_n)]
        for k in range(s.gone_n):
            if s.gone[k] == o:
                break
        else:
            s.gone[s.gone_n] = o
            s.gone_n += 1


cdef void note_loose(Search* s, int o) noexcept nogil:
    cdef int at = s.loose_at[o]
    if s.where[o] < 0 and at < 0:
        s.loose_at[o] = s.loose_n
        s.loose[s.loose_n] = o
        s.loose_n += 1
    elif s.where[o] >= 0 and at >= 0:
        s.loose_n -= 1
        s.loose[at] = s.loose[s.loose_n]
        s.loose_at[s.loose[at]] = at
        s.loose_at[o] = -1


cdef void remember(Search* s) noexcept nogil:
    cdef int i, k
    for i in range(s.dirty_n):
        k = s.dirty[i]
        copy_route(&s.best[k], &s.routes[k])
        s.is_dirty[k] = 0
    s.dirty_n = 0
    s.best_cost = s.cost


cdef void keep(Search* s) noexcept nogil:
    cdef int i, k
    for i in range(s.gone_n):
        note_loose(s, s.gone[i])
    for i in range(s.touched_n):
        k = s.touched[i]
        if not s.is_dirty[k]:
            s.is_dirty[k] = 1
            s.dirty[s.dirty_n] = k
            s.dirty_n += 1
    if s.cost < s.best_cost - 1e-9:
        remember(s)


cdef void undo(Search* s, double before) noexcept nogil:
    cdef int i, k, q
    for i in range(s.gone_n):
        s.where[s.gone[i]] = -1
    for i in range(s.touched_n):
        k = s.touched[i]
        copy_route(&s.routes[k], &s.saved[k])
        note_end(s, k)
        for q in range(s.routes[k].n):
            s.where[s.routes[k].at[q].stop >> 1] = k
    s.cost = before


# ------------------------------------------------------------------ exchanging tails

cdef int cuts(Search* s, int k, int* at, int* before) noexcept nogil:
    """Where the route may be cut: the car is empty and nothing behind is promised. ``before``: orders up to there."""
    cdef Route* r = &s.routes[k]
    cdef int i, first = s.d.locked[k], in_car = 0, orders = 0, count = 0
    for i in range(r.n):
        if s.d.pin[r.at[i].stop >> 1] >= 0 and first <= i:
            first = i + 1
    for i in range(r.n + 1):
        if in_car == 0 and i >= first:
            at[count] = i
            before[count] = orders
            count += 1
        if i == r.n:
            break
        if s.d.pin[r.at[i].stop >> 1] >= 0:
            continue
        if r.at[i].stop & 1:
            orders += 1
            in_car -= 1
        else:
            in_car += 1
    return count


cdef double with_tail(Search* s, int k, int cut, int orders, int other, int begin, double most) noexcept nogil:
    """Cost of route k when it goes on, from its cut, as the other does from ``begin``; NEVER where a rule refuses."""
    cdef Data* d = &s.d
    cdef Route* r = &s.routes[k]
    cdef Route* o = &s.routes[other]
    cdef State state
    cdef int i, q, stop
    if cut + o.n - begin > MOST_STOPS:
        return NEVER
    resume(r, &state, cut)
    for i in range(begin, o.n):
        stop = o.at[i].stop
        if stop & 1:
            drop(d, &state, stop >> 1)
            orders += 1
            if state.cost > most:
                return NEVER
            continue
        if d.needs[stop >> 1] & ~d.skills[k] or not pick(d, &state, k, stop >> 1):
            return NEVER
        for q in range(LOADS):
            if o.at[i + 1].load[q] > d.capacity[LOADS * k + q] + 1e-9:
                return NEVER
    return state.cost + ending(d, k, state.leave, orders)


cdef void swap_tails(Search* s, int k, int cut, int other, int other_cut) noexcept nogil:
    cdef Route* r = &s.routes[k]
    cdef Route* o = &s.routes[other]
    cdef int kept[MOST_STOPS]
    cdef int i, count = r.n - cut, n = o.n
    touch(s, k)
    touch(s, other)
    s.cost -= r.cost + o.cost
    for i in range(count):
        kept[i] = r.at[cut + i].stop
        s.where[kept[i] >> 1] = other
    for i in range(other_cut, n):
        r.at[cut + i - other_cut].stop = o.at[i].stop
        s.where[o.at[i].stop >> 1] = k
    for i in range(count):
        o.at[other_cut + i].stop = kept[i]
    r.n = cut + n - other_cut
    o.n = other_cut + count
    walk(&s.d, r, cut)
    walk(&s.d, o, other_cut)
    s.cost += r.cost + o.cost
    note_end(s, k)
    note_end(s, other)


cdef void exchange(Search* s, double heat) noexcept nogil:
    """Let two routes that pass near each other change what they do from a moment on, if it is worth it."""
    cdef int a = below(s, s.d.n), k = s.where[a], b, other, i, j, count, other_count, best_i = -1, best_j = -1
    cdef int at[MOST_STOPS + 1]
    cdef int before[MOST_STOPS + 1]
    cdef int other_at[MOST_STOPS + 1]
    cdef int other_before[MOST_STOPS + 1]
    cdef double one, two, now, best = NEVER
    if s.alike_n == 0:
        return
    b = s.alike[<Py_ssize_t>a * s.alike_n + below(s, s.alike_n)]
    other = s.where[b] if b >= 0 else -1
    if k < 0 or other < 0 or k == other:
        return
    count = cuts(s, k, at, before)
    other_count = cuts(s, other, other_at, other_before)
    now = s.routes[k].cost + s.routes[other].cost
    for i in range(count):
        for j in range(other_count):
            if at[i] == s.routes[k].n and other_at[j] == s.routes[other].n:
                continue
            one = with_tail(s, k, at[i], before[i], other, other_at[j], best)
            if one >= best:
                continue
            two = with_tail(s, other, other_at[j], other_before[j], k, at[i], best)
            if one + two < best:
                best = one + two
                best_i = i
                best_j = j
    if best_i < 0 or not best < now - heat * log(chance(s) + 1e-300):
        return
    s.clock += 1
    s.touched_n = s.gone_n = 0
    swap_tails(s, k, at[best_i], other, other_at[best_j])
    keep(s)


cdef void build(Search* s, Keyed* todo, double until) noexcept nogil:
    """Everybody who is in no route yet, by when they are ready."""
    cdef int count = 0, i, k, o
    for o in range(s.d.n):
        if s.where[o] < 0:
            todo[count].key = s.d.ready[o]
            todo[count].item = o
            count += 1
    qsort(todo, count, sizeof(Keyed), by_key)
    s.is_wide = True
    s.clock += 1
    s.touched_n = 0
    for i in range(count):
        o = todo[i].item
        if until <= 0 or i % 16 or seconds_now() < until:
            insert(s, o, 0)
        note_loose(s, o)
    for k in range(s.d.m):
        s.is_dirty[k] = 1
        s.dirty[k] = k
    s.dirty_n = s.d.m
    remember(s)


cdef long improve(Search* s, long iterations, double began, double seconds) noexcept nogil:
    cdef long done = 0
    cdef int i
    cdef double before, share, gone, heat = HOT
    s.is_wide = s.d.m <= WIDE
    while done < iterations and s.d.n > 0 and s.d.m > 0:
        if done % 8 == 0:
            share = done / <double>iterations
            if seconds > 0:
                gone = (seconds_now() - began) / seconds
                if gone >= 1:
                    break
                share = gone if gone > share else share
            heat = HOT * exp(log(COLD / HOT) * share)
        done += 1
        for i in range(EXCHANGES):
            exchange(s, heat)
        before = s.cost
        s.clock += 1
        s.touched_n = 0
        ruin(s)
        add_loose(s)
        if s.gone_n == 0:
            continue
        arrange(s)
        for i in range(s.gone_n):
            insert(s, s.gone[i], BLINK)
        if s.cost < before - heat * log(chance(s) + 1e-300):
            keep(s)
        else:
            undo(s, before)
    return done


# ------------------------------------------------------------------ from and to Python

cdef const double* doubles(object values, list held):
    cdef const double[::1] view = values
    held.append(view)
    return &view[0] if view.shape[0] else NULL


cdef const int* ints(object values, list held):
    cdef const int[::1] view = values
    held.append(view)
    return &view[0] if view.shape[0] else NULL


cdef void read(Data* d, object p, list held) except *:
    cdef const float[::1] matrix = p.matrix
    checks.check(p)
    held.append(matrix)
    d.places = len(p.x)
    d.n = len(p.placed)
    d.m = len(p.free)
    d.x, d.y = doubles(p.x, held), doubles(p.y, held)
    d.matrix = &matrix[0] if matrix.shape[0] else NULL
    d.speed, d.whole = p.speed, p.is_whole
    d.half_pick, d.half_drop, d.radius, d.drive, d.busy = p.half_pick, p.half_drop, p.radius, p.drive, p.busy
    d.order_store, d.order_door = ints(p.order_store, held), ints(p.order_door, held)
    d.placed, d.ready, d.opens = doubles(p.placed, held), doubles(p.ready, held), doubles(p.opens, held)
    d.due, d.shop, d.load = doubles(p.due, held), doubles(p.shop, held), doubles(p.load, held)
    d.needs, d.pin = ints(p.needs, held), ints(p.pin, held)
    d.wait, d.late, d.fresh = doubles(p.wait, held), doubles(p.late, held), doubles(p.fresh, held)
    d.unserved = doubles(p.unserved, held)
    d.shopper_place, d.skills, d.locked = ints(p.shopper_place, held), ints(p.skills, held), ints(p.locked, held)
    d.free, d.off, d.pace = doubles(p.free, held), doubles(p.off, held), doubles(p.pace, held)
    d.capacity, d.pay = doubles(p.capacity, held), doubles(p.pay, held)


cdef bint load_route(const Data* d, Route* r, int c, list stops) except -1:
    """Whether the stops as given are allowed."""
    cdef int q
    begin(d, r, c)
    r.n = len(stops)
    for q in range(r.n):
        r.at[q].stop = stops[q]
    carry_aboard(d, r)
    return walk(d, r, 0)


cdef class Table:
    """All memory of one search, given back together."""

    cdef Search s
    cdef list held
    cdef float* matrix
    cdef list blocks

    def __cinit__(self):
        self.held = []
        self.blocks = []

    cdef void* room(self, size_t count, size_t size) except NULL:
        cdef void* block = calloc(count + 1, size)
        if block == NULL:
            raise MemoryError
        self.blocks.append(<size_t>block)
        return block

    def __dealloc__(self):
        for block in self.blocks:
            free(<void*><size_t>block)

    cdef void lay(self) except *:
        cdef Search* s = &self.s
        cdef size_t n = s.d.n, m = s.d.m, places = s.d.places
        cdef size_t k, q
        s.routes = <Route*>self.room(m, sizeof(Route))
        s.saved = <Route*>self.room(m, sizeof(Route))
        s.best = <Route*>self.room(m, sizeof(Route))
        s.where = <int*>self.room(n, sizeof(int))
        s.touched = <int*>self.room(m, sizeof(int))
        s.stamp = <int*>self.room(m, sizeof(int))
        s.seen = <int*>self.room(m, sizeof(int))
        s.is_dirty = <char*>self.room(m, 1)
        s.dirty = <int*>self.room(m, sizeof(int))
        s.slots = <Slot*>self.room(n * SLOTS, sizeof(Slot))
        s.row = <int*>self.room(places, sizeof(int))
        s.ends = <int*>self.room(n * ENDS, sizeof(int))
        s.ends_age = <int*>self.room(n, sizeof(int))
        s.gone = <int*>self.room(n, sizeof(int))
        s.key = <double*>self.room(n, sizeof(double))
        s.loose = <int*>self.room(n, sizeof(int))
        s.loose_at = <int*>self.room(n, sizeof(int))
        s.end_x = <double*>self.room(m, sizeof(double))
        s.end_y = <double*>self.room(m, sizeof(double))
        s.end_leave = <double*>self.room(m, sizeof(double))
        s.end_reach = <double*>self.room(m, sizeof(double))
        s.end_more = <double*>self.room(m, sizeof(double))
        s.guess = <double*>self.room(m, sizeof(double))
        s.alike_n = ALIKE if n > ALIKE else n
        s.doors_n = DOORS if n > DOORS else n
        s.alike = <int*>self.room(n * s.alike_n, sizeof(int))
        s.doors = <int*>self.room(n * s.doors_n, sizeof(int))
        if s.d.matrix == NULL and places <= 1000:
            self.matrix = <float*>self.room(places * places, sizeof(float))
            for k in range(places):
                for q in range(k + 1):
                    self.matrix[k * places + q] = <float>leg(&s.d, k, q)
                    self.matrix[q * places + k] = self.matrix[k * places + q]
            s.d.matrix = self.matrix

    cdef void load(self, list warm) except *:
        cdef Search* s = &self.s
        cdef int k, q, o
        cdef list stops
        s.version = 1
        for o in range(s.d.n):
            s.where[o] = s.loose_at[o] = -1
            s.cost += s.d.unserved[o]
        for k in range(s.d.m):
            s.version += 1
            stops = warm[k]
            if not load_route(&s.d, &s.routes[k], k, stops):
                stops = [stop for q, stop in enumerate(stops) if s.d.pin[<int>(stop >> 1)] >= 0]
                load_route(&s.d, &s.routes[k], k, stops)
            s.routes[k].version = s.version
            note_end(s, k)
            s.cost += s.routes[k].cost
            for stop in stops:
                o = stop >> 1
                if s.where[o] < 0:
                    s.where[o] = k
                    s.cost -= s.d.unserved[o]


def search(problem, warm, *, seed, iterations, seconds=0.0):
    cdef double began = seconds_now(), limit = seconds
    cdef Table table = Table()
    cdef Search* s = &table.s
    cdef long most = iterations, done
    cdef int k, q
    read(&s.d, problem, table.held)
    warm = checks.warm_routes(problem, warm)
    table.lay()
    s.state = <uint64_t>(seed & 0xFFFFFFFFFFFFFFFF)
    table.load(warm)
    cdef size_t biggest = s.d.n + s.d.places
    cdef Keyed* keyed = <Keyed*>table.room(biggest, sizeof(Keyed))
    cdef Keyed* stores = <Keyed*>table.room(biggest, sizeof(Keyed))
    cdef int* place = <int*>table.room(biggest, sizeof(int))
    cdef int* head = <int*>table.room(biggest, sizeof(int))
    cdef int* follow = <int*>table.room(biggest, sizeof(int))
    with nogil:
        find_neighbours(s, keyed, stores, place, head, follow)
        build(s, keyed, began + limit if limit > 0 else 0)
        done = improve(s, most, began, limit)
    routes = [[s.best[k].at[q].stop for q in range(s.best[k].n)] for k in range(s.d.m)]
    return Answer(routes=routes, cost=s.best_cost, iterations=done)


def choices(problem, routes, order):
    cdef Data d
    cdef list held = [], found = []
    cdef Route r
    cdef Slot slot
    cdef int k, o = order
    read(&d, problem, held)
    routes = checks.warm_routes(problem, routes)
    for k in range(d.m):
        if not load_route(&d, &r, k, [stop for stop in routes[k] if stop >> 1 != o]):
            continue
        best_insertion(&d, &r, o, NEVER, &slot)
        if slot.i >= 0:
            found.append(Choice(shopper=k, cost=slot.delta, pick=slot.i, drop=slot.j))
    found.sort(key=lambda choice: (choice.cost, choice.shopper))
    return found


def timetables(problem, routes):
    cdef Data d
    cdef list held = [], tables = []
    cdef Route r
    cdef int k, q
    read(&d, problem, held)
    for k, stops in enumerate(checks.warm_routes(problem, routes)):
        if not load_route(&d, &r, k, stops):
            raise ValueError(f"shopper {k} may not drive {stops}: a pickup after the shift, too far or too much")
        tables.append([(r.at[q + 1].act, r.at[q + 1].leave) for q in range(r.n)])
    return tables
