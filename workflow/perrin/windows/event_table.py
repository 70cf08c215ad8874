"""From lives to a table of events: dates with intervals, visits, hops as one move."""

import numpy as np

from perrin.windows.lives import changes_of, date


def event_rows(evidence, window, places_A, limits, level, hop_A, bond_A):
    """Events of all sites in time order.

    evidence : Evidence with solved lives; window : (f,) row of places_A that holds in a frame
    places_A : (windows, n, 3) places of the sites
    level : of the intervals; hop_A : a departure and an arrival nearer than this, with intervals that
        touch, are one move; bond_A : sites nearer than this are neighbours
    returns list of dicts without x, y, z of files: site and to_site (rows, to_site None), index, low, high (indices
        of frames), event, manner, nats, cn, window
    """
    found = []
    for j in range(evidence.present.shape[1]):
        path = evidence.present[:, j] > 0.5
        changes = changes_of(path)
        if not len(changes):
            continue
        ratio = evidence.ratio(j)
        for i, change in enumerate(changes):
            at, low, high, nats = date(ratio, path, change, limits.inflation, level)
            leaves = bool(path[change - 1])
            manner = "step"
            if len(changes) > 1:
                # a site that is empty at either end had a visitor, one that is taken at either end an absence
                paired = i + 1 < len(changes) if i % 2 == 0 else True
                manner = ("absence" if path[0] else "visit") if paired else "step"
            w = int(window[at])
            there = evidence.present[at - 1 if leaves else at] > 0.5
            distance = np.linalg.norm(places_A[w] - places_A[w, j], axis=1)
            found.append(
                {
                    "site": j, "to_site": None, "event": "left" if leaves else "arrived", "manner": manner,
                    "index": at, "low": low, "high": high, "nats": nats, "window": w,
                    "cn": int((there & (distance < bond_A)).sum() - there[j]),
                }
            )  # fmt: skip
    return _moves(found, places_A, hop_A)


def _moves(found, places_A, hop_A):
    """Join departures and arrivals at neighbouring sites whose intervals touch, nearest in time first."""
    left = [i for i, one in enumerate(found) if one["event"] == "left"]
    arrived = [i for i, one in enumerate(found) if one["event"] == "arrived"]
    pairs = []
    for i in left:
        for k in arrived:
            a, b = found[i], found[k]
            apart = float(np.linalg.norm(places_A[a["window"], a["site"]] - places_A[a["window"], b["site"]]))
            touch = a["low"] <= b["high"] + 1 and b["low"] <= a["high"] + 1
            if a["site"] != b["site"] and apart < hop_A and touch:
                pairs.append((abs(a["index"] - b["index"]), apart, i, k))
    used, rows = set(), []
    for _, _, i, k in sorted(pairs):
        if i in used or k in used:
            continue
        used |= {i, k}
        a, b = found[i], found[k]
        # both dates speak of the same moment: the sharper one counts
        sharp = min((a, b), key=lambda one: (one["high"] - one["low"], -one["nats"]))
        rows.append(
            a | {key: sharp[key] for key in ("index", "low", "high")}
            | {"event": "moved", "to_site": b["site"], "nats": min(a["nats"], b["nats"])}
        )  # fmt: skip
    rows += [one for i, one in enumerate(found) if i not in used]
    return sorted(rows, key=lambda one: (one["index"], one["site"]))


def probabilities(nats, sites, inflation):
    """That an event is real: the odds before looking are events found to changes possible (two a site)."""
    nats = np.asarray(nats, float)
    prior = max(len(nats), 1) / (2 * max(sites, 1))
    return 1 / (1 + np.exp(-np.clip(nats / inflation, -500, 500)) / min(prior, 1))


def identities(rows, sites):
    """(rows,) number of the atom of each event, from 1: sites in order, new numbers for later tenants.

    An atom that moves takes its number with it; an atom that arrives at a site that had one before is another.
    """
    tenant = np.arange(1, sites + 1)
    seen = np.zeros(sites, bool)
    following = sites + 1
    out = []
    for one in rows:
        j = one["site"]
        if one["event"] == "arrived":
            if seen[j]:
                tenant[j] = following
                following += 1
            seen[j] = True
        out.append(int(tenant[j]))
        seen[j] = True
        if one["event"] == "moved":
            k = one["to_site"]
            tenant[k], seen[k] = tenant[j], True
    return out
