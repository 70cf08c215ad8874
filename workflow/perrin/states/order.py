"""Local order: which crystal the bonds of each atom say it is part of, and which structure the whole particle has."""

import numpy as np
from numba import njit
from scipy.special import sph_harm_y

from perrin.states.neighbours import both_ways, pairs

KINDS = np.array(["other", "fcc", "hcp", "icosahedral", "fivefold", "bcc"], dtype=object)
_LIMIT = 24  # neighbours kept per atom


def common_neighbours(xyz, cutoff_A):
    """(n,) text: fcc, hcp, icosahedral, fivefold, bcc or other, by common-neighbour analysis with one cut-off.

    Bonds are named by the number of common neighbours, of bonds among these, and of the longest chain of those
    (Honeycutt and Andersen 1987): 12 bonds 421 are fcc; 6 of 421 and 6 of 422 hcp; 12 of 555 icosahedral;
    2 of 555 and 10 of 422 the fivefold axis on which five crystals meet; 8 of 666 and 6 of 444 bcc.
    Surface atoms are "other".

    >>> kinds = common_neighbours(xyz, 3.34)
    >>> int((kinds == "fcc").sum()), int((kinds == "other").sum())
    (79, 122)
    """
    directed = both_ways(pairs(xyz, cutoff_A))
    table = _table(directed, len(xyz))
    return KINDS[_kinds(table)]


def fivefold_axes(xyz, cutoff_A):
    """(m, 3) unit vectors along the 555 bonds of the atoms on fivefold axes, one an atom."""
    directed = both_ways(pairs(xyz, cutoff_A))
    table = _table(directed, len(xyz))
    kind = _kinds(table)
    axes = []
    for atom in np.flatnonzero(kind == 4):
        bonds = [j for j in table[atom] if j >= 0 and _signature(table, atom, j) == (5, 5, 5)]
        if len(bonds) == 2:
            axis = xyz[bonds[1]] - xyz[bonds[0]]
            axes.append(axis / np.linalg.norm(axis))
    return np.array(axes).reshape(-1, 3)


def structure(xyz, cutoff_A, fit, kind=None):
    """(name, why): what the whole particle is, of fcc, bcc, hcp, twinned, decahedral, icosahedral, amorphous.

    A single lattice that holds nearly all atoms decides (fit: LatticeFit); otherwise the atoms inside, by
    their common neighbours.
    """
    kind = common_neighbours(xyz, cutoff_A) if kind is None else kind
    count = {name: int((kind == name).sum()) for name in KINDS}
    inside = sum(count[name] for name in KINDS[1:])
    if fit.fits and fit.share > 0.95 and count["hcp"] + count["fivefold"] <= max(0.05 * inside, 1):
        return fit.system, fit.why
    axes = fivefold_axes(xyz, cutoff_A)
    if count["icosahedral"] or len(axes) > 1:
        parallel = np.abs(axes @ axes[0]) > 0.9 if len(axes) else np.zeros(0, bool)
        if count["icosahedral"] or not parallel.all():
            return "icosahedral", (
                f"{count['icosahedral']} atoms have an icosahedron of neighbours, {len(axes)} lie on fivefold axes"
            )
    if len(axes):
        return "decahedral", f"{len(axes)} atoms lie on one fivefold axis"
    crystalline = count["fcc"] + count["hcp"] + count["bcc"]
    if crystalline and count["hcp"] >= 0.05 * crystalline:
        if count["fcc"] < 0.2 * count["hcp"]:
            return "hcp", f"{count['hcp']} atoms have hcp neighbours, {count['fcc']} fcc"
        return (
            "twinned",
            f"{count['hcp']} atoms lie on stacking faults or twin planes, {count['fcc']} have fcc neighbours",
        )
    if fit.fits:
        return fit.system, fit.why
    if crystalline >= 0.15 * len(xyz):
        name = "bcc" if count["bcc"] > count["fcc"] else "fcc"
        return name, f"{count[name]} atoms have {name} neighbours, but {fit.why}"
    return "amorphous", f"{fit.why}; {crystalline} of {len(xyz)} atoms have the neighbours of a crystal"


def bond_order(xyz, cutoff_A, degree):
    """(q, w, averaged_q, averaged_w, similarity): Steinhardt's bond-orientational order of one degree (4 or 6).

    q : (n,) of each atom's own bonds (Steinhardt 1983); w : the third-order invariant, normalised
    averaged_q, averaged_w : of the complex vectors averaged over the atom and its neighbours (Lechner and Dellago 2008)
    similarity : (n,) share of the atom's bonds to neighbours whose normalised vectors have an overlap above 0.8
    NaN for atoms without neighbours.

    >>> inside = np.linalg.norm(xyz, axis=1).argmin()
    >>> q6 = bond_order(xyz, 3.34, 6)[0]
    >>> round(float(q6[inside]), 4)  # of a perfect fcc crystal
    0.5745
    """
    directed = both_ways(pairs(xyz, cutoff_A))
    n = len(xyz)
    first, second = directed.T
    vector = xyz[second] - xyz[first]
    r = np.linalg.norm(vector, axis=1)
    theta = np.arccos(np.clip(vector[:, 2] / np.maximum(r, 1e-12), -1, 1))
    phi = np.arctan2(vector[:, 1], vector[:, 0])
    count = np.bincount(first, minlength=n).astype(float)
    lone = count == 0
    moment = np.empty((n, 2 * degree + 1), complex)
    for m in range(-degree, degree + 1):
        value = sph_harm_y(degree, m, theta, phi)
        moment[:, m + degree] = np.bincount(first, value.real, n) + 1j * np.bincount(first, value.imag, n)
    moment /= np.maximum(count, 1)[:, None]
    mean = moment.copy()
    for m in range(2 * degree + 1):
        mean[:, m] += np.bincount(first, moment[second, m].real, n) + 1j * np.bincount(
            first, moment[second, m].imag, n
        )
    mean /= (count + 1)[:, None]
    q, w = _invariants(moment, degree)
    averaged_q, averaged_w = _invariants(mean, degree)
    unit = moment / np.maximum(np.linalg.norm(moment, axis=1), 1e-12)[:, None]
    overlap = (unit[first] * unit[second].conj()).sum(1).real
    similar = np.bincount(first, overlap > 0.8, n) / np.maximum(count, 1)
    return tuple(np.where(lone, np.nan, values) for values in (q, w, averaged_q, averaged_w, similar))


def _invariants(moment, degree):
    """Second- and third-order invariants of complex vectors (n, 2 degree + 1)."""
    square = (np.abs(moment) ** 2).sum(1)
    total = np.zeros(len(moment))
    for (a, b, c), factor in _wigner(degree):
        total += factor * (moment[:, a] * moment[:, b] * moment[:, c]).real
    # without order of this degree its third invariant has no sign: 0, not the ratio of two roundings
    third = np.where(square > 1e-12, total / np.maximum(square, 1e-12) ** 1.5, 0.0)
    return np.sqrt(4 * np.pi / (2 * degree + 1) * square), third


def _wigner(degree):
    """[((index, index, index), 3j symbol)] for (degree degree degree; m1 m2 m3), m1 + m2 + m3 = 0 (Racah's formula)."""
    from math import factorial as f

    def symbol(m1, m2, m3):
        j = degree
        delta = f(j) ** 3 / f(3 * j + 1)
        root = np.prod([float(f(j + m) * f(j - m)) for m in (m1, m2, m3)])
        total = 0.0
        for k in range(j + 1):
            parts = [k, j - k, j - m1 - k, j + m2 - k, m1 + k, -m2 + k]
            if min(parts) < 0:
                continue
            total += (-1) ** k / np.prod([float(f(p)) for p in parts])
        return (-1) ** m3 * np.sqrt(delta * root) * total

    numbers = range(-degree, degree + 1)
    return [
        ((m1 + degree, m2 + degree, -m1 - m2 + degree), symbol(m1, m2, -m1 - m2))
        for m1 in numbers
        for m2 in numbers
        if abs(m1 + m2) <= degree
    ]


def _table(directed, n):
    """(n, _LIMIT) int: neighbours of each atom, -1 where there are fewer."""
    table = np.full((n, _LIMIT), -1, dtype=np.int64)
    count = np.bincount(directed[:, 0], minlength=n)
    place = np.arange(len(directed)) - np.repeat(np.cumsum(count) - count, count)
    keep = place < _LIMIT
    table[directed[keep, 0], place[keep]] = directed[keep, 1]
    return table


@njit(forceinline=True)
def _bonded(table, i, j):
    for k in range(table.shape[1]):
        if table[i, k] == j:
            return True
        if table[i, k] < 0:
            return False
    return False


@njit(forceinline=True)
def _signature(table, i, j):
    """(common neighbours, bonds among them, longest chain of these bonds)."""
    common = np.empty(table.shape[1], np.int64)
    number = 0
    for k in range(table.shape[1]):
        if table[i, k] >= 0 and table[i, k] != j and _bonded(table, j, table[i, k]):
            common[number] = table[i, k]
            number += 1
    bonds = np.zeros((number * number + 1, 2), np.int64)
    count = 0
    for a in range(number):
        for b in range(a):
            if _bonded(table, common[a], common[b]):
                bonds[count, 0], bonds[count, 1] = a, b
                count += 1
    # the largest group of bonds that hang together
    group = np.arange(number)
    for _ in range(number):
        for b in range(count):
            low = min(group[bonds[b, 0]], group[bonds[b, 1]])
            group[bonds[b, 0]] = low
            group[bonds[b, 1]] = low
    longest = 0
    for g in range(number):
        size = 0
        for b in range(count):
            if group[bonds[b, 0]] == g:
                size += 1
        longest = max(longest, size)
    return number, count, longest


@njit(cache=True)
def _kinds(table):
    n = table.shape[0]
    kind = np.zeros(n, np.int64)
    for i in range(n):
        n421 = n422 = n555 = n666 = n444 = total = 0
        for k in range(table.shape[1]):
            j = table[i, k]
            if j < 0:
                break
            total += 1
            a, b, c = _signature(table, i, j)
            if a == 4 and b == 2 and c == 1:
                n421 += 1
            elif a == 4 and b == 2 and c == 2:
                n422 += 1
            elif a == 5 and b == 5 and c == 5:
                n555 += 1
            elif a == 6 and b == 6 and c == 6:
                n666 += 1
            elif a == 4 and b == 4 and c == 4:
                n444 += 1
        if total == 12:
            if n421 == 12:
                kind[i] = 1
            elif n421 == 6 and n422 == 6:
                kind[i] = 2
            elif n555 == 12:
                kind[i] = 3
            elif n555 == 2 and n422 == 10:
                kind[i] = 4
        elif total == 14 and n666 == 8 and n444 == 6:
            kind[i] = 5
    return kind
