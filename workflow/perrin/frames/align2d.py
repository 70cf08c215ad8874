"""Frames turned and shifted in plane onto the averages of short blocks of time.

A frame is its class turned by an angle and shifted: frame(x) = class(R(-angle) (x - shift)). Every frame is
compared with averages that leave out its own quarter of the frames, so that its noise never meets itself.
"""

import numba
import numpy as np
import scipy.fft

from perrin.frames.bands import frequencies
from perrin.progress import progress

FOLDS = 4
# compiled without fastmath, which gains nothing here: operations are fused otherwise in a kernel that was loaded


@numba.njit(inline="always")
def _cubic(t):
    """Weights of four neighbours at distance t past the second (Catmull-Rom)."""
    t2 = t * t
    t3 = t2 * t
    return (
        -0.5 * t + t2 - 0.5 * t3,
        1 - 2.5 * t2 + 1.5 * t3,
        0.5 * t + 2 * t2 - 1.5 * t3,
        -0.5 * t2 + 0.5 * t3,
    )


@numba.njit(inline="always")
def _sample(fine, y, x):
    """Value of a twice oversampled image (index) by cubic interpolation; 0 outside."""
    iy, ix = int(np.floor(y)), int(np.floor(x))
    if iy < 1 or ix < 1 or iy + 2 >= fine.shape[0] or ix + 2 >= fine.shape[1]:
        return np.float32(0)
    wy, wx = _cubic(np.float32(y - iy)), _cubic(np.float32(x - ix))
    total = np.float32(0)
    for a in range(4):
        row = fine[iy - 1 + a]
        total += wy[a] * (wx[0] * row[ix - 1] + wx[1] * row[ix] + wx[2] * row[ix + 1] + wx[3] * row[ix + 2])
    return total


@numba.njit(parallel=True, cache=True)
def _turn(fine, angles, out):
    """out[i, a] = image i turned by angles[a] about the centre."""
    n = out.shape[2]
    for job in numba.prange(out.shape[0] * out.shape[1]):
        i, a = job // out.shape[1], job % out.shape[1]
        c, s = np.cos(angles[a]), np.sin(angles[a])
        for iy in range(n):
            for ix in range(n):
                x, y = ix - n // 2, iy - n // 2
                out[i, a, iy, ix] = _sample(fine[i], 2 * (-s * x + c * y) + n, 2 * (c * x + s * y) + n)


@numba.njit(parallel=True, cache=True)
def _sum_aligned(fine, angle, shift, fold, out):
    """out[fold] += frames brought back onto their class; one row of pixels a task, frames in order."""
    n = out.shape[1]
    for iy in numba.prange(n):
        for f in range(len(fine)):
            c, s = np.cos(angle[f]), np.sin(angle[f])
            for ix in range(n):
                x, y = ix - n // 2, iy - n // 2
                out[fold[f], iy, ix] += _sample(
                    fine[f], 2 * (s * x + c * y + shift[f, 1]) + n, 2 * (c * x - s * y + shift[f, 0]) + n
                )


@numba.njit(parallel=True, cache=True)
def _search(re, im, ref_re, ref_im, fold, low, high, first, column, wave_re, wave_im, out, place):
    """Best correlation of every frame over references, angles and shifts.

    re, im : (f, m) coefficients, ordered by column (kx); ref_* : (r, folds, angles, m), conjugated by the signs here
    low, high : (f,) angles searched, low <= a < high; first : (columns + 1,) where each kx starts;
    column : (columns,) kx; wave_* : (2, k, shifts): exp(2 pi i k s) for ky (by coefficient) and kx (by column)
    out : (f, r) best value; place : (f, r, 3) angle and shifts y, x (parabola through neighbours)
    """
    f_count, m = re.shape
    shifts = wave_re.shape[2]
    for job in numba.prange(f_count * ref_re.shape[0]):
        f, r = job // ref_re.shape[0], job % ref_re.shape[0]
        table = np.zeros((high[f] - low[f], shifts, shifts), np.float32)
        part_re = np.empty(shifts, np.float32)
        part_im = np.empty(shifts, np.float32)
        best = np.float32(-1e30)
        ba, by, bx = 0, 0, 0
        for a in range(low[f], high[f]):
            own_re, own_im = ref_re[r, fold[f], a], ref_im[r, fold[f], a]
            plane = table[a - low[f]]
            for col in range(len(first) - 1):
                part_re[:] = 0
                part_im[:] = 0
                for j in range(first[col], first[col + 1]):
                    pr = re[f, j] * own_re[j] + im[f, j] * own_im[j]
                    pi = im[f, j] * own_re[j] - re[f, j] * own_im[j]
                    for s in range(shifts):
                        part_re[s] += pr * wave_re[0, j, s] - pi * wave_im[0, j, s]
                        part_im[s] += pr * wave_im[0, j, s] + pi * wave_re[0, j, s]
                for sy in range(shifts):
                    for sx in range(shifts):
                        plane[sy, sx] += part_re[sy] * wave_re[1, col, sx] - part_im[sy] * wave_im[1, col, sx]
            for sy in range(shifts):
                for sx in range(shifts):
                    if plane[sy, sx] > best:
                        best = plane[sy, sx]
                        ba, by, bx = a - low[f], sy, sx
        out[f, r] = best
        place[f, r, 0] = low[f] + ba
        place[f, r, 1] = by
        place[f, r, 2] = bx
        if 0 < ba < high[f] - low[f] - 1:
            d = table[ba - 1, by, bx] - 2 * best + table[ba + 1, by, bx]
            if d < 0:
                place[f, r, 0] += np.float32(0.5) * (table[ba - 1, by, bx] - table[ba + 1, by, bx]) / d
        if 0 < by < shifts - 1:
            d = table[ba, by - 1, bx] - 2 * best + table[ba, by + 1, bx]
            if d < 0:
                place[f, r, 1] += np.float32(0.5) * (table[ba, by - 1, bx] - table[ba, by + 1, bx]) / d
        if 0 < bx < shifts - 1:
            d = table[ba, by, bx - 1] - 2 * best + table[ba, by, bx + 1]
            if d < 0:
                place[f, r, 2] += np.float32(0.5) * (table[ba, by, bx - 1] - table[ba, by, bx + 1]) / d


def upsample(images):
    """(f, n, n) -> (f, 2n, 2n) on half the pixels, by padding the Fourier plane; index n stays the centre."""
    f, n, _ = images.shape
    spectrum = scipy.fft.rfft2(scipy.fft.ifftshift(images, axes=(1, 2)))
    half = n // 2
    full = np.zeros((f, 2 * n, n + 1), np.complex64)
    full[:, :half, :half] = spectrum[:, :half, :half]
    full[:, 2 * n - half + 1 :, :half] = spectrum[:, n - half + 1 :, :half]
    return scipy.fft.fftshift(scipy.fft.irfft2(full, s=(2 * n, 2 * n)), axes=(1, 2)) * np.float32(4)


def band_layout(n, pixel_A, low_A1, high_A1):
    """The independent coefficients of a band, ordered by kx.

    -> index (m,) into the flattened rfft2, ky (m,), kx (columns,) in cycles a pixel, first (columns + 1,)
    """
    k = frequencies(n, pixel_A)
    inside = (k >= low_A1) & (k <= high_A1)
    inside[:, n // 2] = False
    inside[n // 2, :] = False
    inside[n // 2 :, 0] = False  # partners of the column kx = 0
    x, y = np.nonzero(inside.T)
    columns, first = np.unique(x, return_index=True)
    ky = np.fft.fftfreq(n)[y]
    return y * (n // 2 + 1) + x, ky, columns / n, np.r_[first, len(x)].astype(np.int64)


def _coefficients(images, index):
    spectrum = scipy.fft.rfft2(scipy.fft.ifftshift(images, axes=(-2, -1)))
    picked = spectrum.reshape(*images.shape[:-2], -1)[..., index]
    return np.ascontiguousarray(picked.real), np.ascontiguousarray(picked.imag)


def class_sums(frames, member, angle_deg, shift_px, fold, classes):
    """Sums of aligned frames by class and fold, (classes, folds, n, n) float32."""
    n = frames.shape[-1]
    sums = np.zeros((classes, int(fold.max()) + 1, n, n), np.float32)
    order = np.argsort(member, kind="stable")
    bounds = np.searchsorted(member[order], np.arange(classes + 1))
    for c in range(classes):
        own = order[bounds[c] : bounds[c + 1]]
        for a in range(0, len(own), 64):
            rows = own[a : a + 64]
            _sum_aligned(
                upsample(frames[rows]),
                np.radians(angle_deg[rows]),
                shift_px[rows].astype(float),
                fold[rows],
                sums[c],
            )
    return sums


def _references(sums, count, angles_deg, index):
    """Coefficients of one class at all angles, one set for each fold left out, of unit norm.

    sums : (folds, n, n); count : (folds,) -> real and imaginary parts (folds, angles, m)
    """
    rest = sums.sum(0) - sums
    rest /= np.maximum(count.sum() - count, 1)[:, None, None]
    turned = np.empty((len(rest), len(angles_deg), *rest.shape[1:]), np.float32)
    _turn(upsample(rest), np.radians(angles_deg), turned)
    re, im = _coefficients(turned, index)
    norm = np.sqrt((re**2 + im**2).sum(-1, keepdims=True))
    norm = np.where(norm > 0, norm, np.inf)
    return re / norm, im / norm


def align(
    frames,
    pixel_A,
    block,
    band_A1=(1 / 3, 1.0),
    iterations=3,
    rotation_reach_deg=20.0,
    rotation_step_deg=4.0,
    shift_reach_px=4,
    usable=None,
):
    """Align frames to the averages of their own and the two neighbouring blocks.

    frames : (f, n, n) float32, masked about the particle
    block : (f,) home block of each frame, increasing with time
    usable : (f,) bool; other frames are aligned, but enter no average
    -> dict of (f,) arrays: member (class), angle_deg, correlation; shift_px (f, 2) x, y
    """
    f, n, _ = frames.shape
    classes = int(block.max()) + 1
    usable = np.ones(f, bool) if usable is None else usable
    index, ky, kx, first = band_layout(n, pixel_A, *band_A1)
    steps = int(np.ceil(rotation_reach_deg / rotation_step_deg))
    angles = rotation_step_deg * np.arange(-steps, steps + 1)
    # zero is on the grid, in angle and in shift
    shifts = np.arange(-shift_reach_px, shift_reach_px + 1)
    wave_y = np.exp(2j * np.pi * np.outer(ky, shifts))
    wave_x = np.zeros_like(wave_y)
    wave_x[: len(kx)] = np.exp(2j * np.pi * np.outer(kx, shifts))
    waves = np.stack([wave_y, wave_x])
    wave_re, wave_im = waves.real.astype(np.float32), waves.imag.astype(np.float32)
    fold = (np.arange(f) % FOLDS).astype(np.int64)
    member, angle, shift = block.astype(np.int64).copy(), np.zeros(f), np.zeros((f, 2))
    correlation = np.zeros(f)
    by_block = np.searchsorted(block, np.arange(classes + 1))
    label = "frames aligned in plane"
    for iteration in range(iterations):
        sums = class_sums(frames[usable], member[usable], angle[usable], shift[usable], fold[usable], classes)
        count = np.bincount(member[usable] * FOLDS + fold[usable], minlength=classes * FOLDS).reshape(
            classes, FOLDS
        )
        references = {}
        new_member, new_angle, new_shift = member.copy(), angle.copy(), shift.copy()
        for c in progress(range(classes), f"{label}, round {iteration + 1}: blocks", classes):
            rows = np.arange(by_block[c], by_block[c + 1])
            if len(rows) == 0:
                continue
            near = [d for d in (c - 1, c, c + 1) if 0 <= d < classes and count[d].sum() > 0]
            references = {
                d: references[d] if d in references else _references(sums[d], count[d], angles, index)
                for d in near
            }
            if not near:
                continue
            re, im = _coefficients(frames[rows], index)
            norm = np.sqrt((re**2 + im**2).sum(-1))
            centre = np.rint(angle[rows] / rotation_step_deg).astype(int) + steps
            width = len(angles) if iteration == 0 else 2
            low = np.maximum(centre - width, 0)
            high = np.minimum(centre + width + 1, len(angles))
            best = np.empty((len(rows), len(near)), np.float32)
            place = np.empty((len(rows), len(near), 3), np.float32)
            _search(
                re,
                im,
                np.stack([references[d][0] for d in near]),
                np.stack([references[d][1] for d in near]),
                fold[rows],
                low.astype(np.int64),
                high.astype(np.int64),
                first,
                kx,
                wave_re,
                wave_im,
                best,
                place,
            )
            choice = best.argmax(1)
            pick = np.arange(len(rows)), choice
            new_member[rows] = np.array(near)[choice]
            new_angle[rows] = (place[pick][:, 0] - steps) * rotation_step_deg
            new_shift[rows, 0] = place[pick][:, 2] - shift_reach_px
            new_shift[rows, 1] = place[pick][:, 1] - shift_reach_px
            correlation[rows] = best[pick] / np.where(norm > 0, norm, np.inf)
        moved = np.abs(new_shift - shift).max(1) + np.abs(new_angle - angle) / rotation_step_deg
        member, angle, shift = new_member, new_angle, new_shift
        if np.median(moved) < 0.05:
            break
    return {"member": member, "angle_deg": angle, "shift_px": shift, "correlation": correlation}
