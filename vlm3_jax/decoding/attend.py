"""Attention of the tokens in flight, and what they leave in the cache.

Each group of devices works on its own prefixes and rows, and each of its devices on its own heads:
everything here runs under `shard_map` on the mesh that is set, so no cache ever moves.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from vlm3_jax.decoding.cache import Cache, KeyValues
from vlm3_jax.models.attention.kernels import Kernel
from vlm3_jax.models.attention.partial import Partial, merge, own_attention, shared_attention
from vlm3_jax.parallel.mesh import BATCH_AXES

_GROUPS = PartitionSpec(BATCH_AXES)
_on_own_group = partial(jax.shard_map, check_vma=False)


def keep_prefix(shared: KeyValues, slots: jax.Array, new: KeyValues) -> KeyValues:
    """Keeps the keys and values of one prefix a group.

    Args:
        shared: [G * I, K, P, head_dim].
        slots: int32 [G]; I for a group that has none.
        new: [G, P, K, head_dim].
    """

    def local(shared: KeyValues, new: KeyValues, slots: jax.Array) -> KeyValues:
        def put(kept: jax.Array, new: jax.Array) -> jax.Array:
            new = jnp.swapaxes(new[0], 0, 1).astype(kept.dtype)
            return kept.at[slots[0]].set(new, mode="drop")

        return jax.tree.map(put, shared, new)

    heads = _head_axis(new.keys)
    return _on_own_group(
        local,
        in_specs=(_kept(heads), _tokens(heads), _GROUPS),
        out_specs=_kept(heads),
    )(shared, new, slots)


def attend_questions(
    kernel: Kernel,
    query: jax.Array,
    new: KeyValues,
    cache: Cache,
    slots: jax.Array,
    rows: jax.Array,
    prefix_lengths: jax.Array,
) -> tuple[jax.Array, Cache]:
    """Attention of F questions a group over their prefix and themselves; begins their rows.

    Args:
        kernel: see `shared_attention`.
        query: [G * F, L, H, head_dim].
        new: their keys and values, [G * F, L, K, head_dim].
        cache: what is kept.
        slots: int32 [G], the prefix of each group's questions; I where there is none.
        rows: int32 [G, F]; Q for padding.
        prefix_lengths: int32 [G, I].

    Returns:
        [G * F, L, H * head_dim] and the cache.
    """

    def local(
        query: jax.Array,
        new: KeyValues,
        cache: Cache,
        slots: jax.Array,
        rows: jax.Array,
        prefix_lengths: jax.Array,
    ) -> tuple[jax.Array, Cache]:
        asked, length = query.shape[:2]
        num_prefixes = prefix_lengths.shape[1]
        first = _on_one_prefix(kernel, query, cache, slots, prefix_lengths)
        order = jnp.arange(length)
        visible = jnp.broadcast_to(order[:, None] >= order, (asked, length, length))
        mine = KeyValues(jnp.moveaxis(new.keys, 1, 3), jnp.swapaxes(new.values, 1, 2))
        second = own_attention(query, *mine, visible)

        num_rows = len(cache.own.keys) // num_prefixes
        is_there = (slots[0] < num_prefixes) & (rows[0] < num_rows)
        row = jnp.where(is_there, slots[0] * num_rows + rows[0], len(cache.own.keys))

        mine = jax.tree.map(lambda x, kept: x.astype(kept.dtype), mine, cache.own)
        own = KeyValues(
            cache.own.keys.at[row, :, :, :length].set(mine.keys, mode="drop"),
            cache.own.values.at[row, :, :length].set(mine.values, mode="drop"),
        )
        return _merge(query, first, second), cache._replace(own=own)

    heads = _head_axis(new.keys)
    return _on_own_group(
        local,
        in_specs=(
            *(_tokens(heads), _tokens(heads), _cache(heads)),
            *(_GROUPS, _GROUPS, _GROUPS),
        ),
        out_specs=(_tokens(heads), _cache(heads)),
    )(query, new, cache, slots, rows, prefix_lengths)


def attend_window(
    kernel: Kernel,
    query: jax.Array,
    new: KeyValues,
    cache: Cache,
    lengths: jax.Array,
    prefix_lengths: jax.Array,
) -> tuple[jax.Array, Cache]:
    """Attention of the newest W tokens of every row over its prefix and all that it has.

    Args:
        kernel: see `shared_attention`.
        query: [G * I * Q, W, H, head_dim].
        new: their keys and values, [G * I * Q, W, K, head_dim].
        cache: what is kept.
        lengths: int32 [G, I, Q], tokens that a row had before, at most S - W.
        prefix_lengths: int32 [G, I].

    Returns:
        [G * I * Q, W, H * head_dim] and the cache.
    """

    def local(
        query: jax.Array,
        new: KeyValues,
        cache: Cache,
        lengths: jax.Array,
        prefix_lengths: jax.Array,
    ) -> tuple[jax.Array, Cache]:
        num_rows, width = query.shape[:2]
        places = lengths.reshape(-1, 1) + jnp.arange(width)
        row = jnp.arange(num_rows)[:, None, None]
        head = jnp.arange(new.keys.shape[2])
        old = cache.own
        own = KeyValues(
            old.keys.at[row, head, :, places[..., None]].set(new.keys.astype(old.keys.dtype)),
            old.values.at[row, head, places[..., None]].set(new.values.astype(old.values.dtype)),
        )
        by_prefix = query.reshape(prefix_lengths.shape[1], -1, *query.shape[2:])
        first = shared_attention(kernel, by_prefix, *cache.shared, prefix_lengths[0])
        visible = jnp.arange(own.values.shape[2]) <= places[..., None]
        second = own_attention(query, *own, visible)
        return _merge(query, first, second), cache._replace(own=own)

    heads = _head_axis(new.keys)
    return _on_own_group(
        local,
        in_specs=(
            *(_tokens(heads), _tokens(heads), _cache(heads)),
            *(_GROUPS, _GROUPS),
        ),
        out_specs=(_tokens(heads), _cache(heads)),
    )(query, new, cache, lengths, prefix_lengths)


def attend_branches(
    kernel: Kernel,
    query: jax.Array,
    new: KeyValues,
    kept: tuple[Cache, KeyValues],
    place: jax.Array,
    slots: jax.Array,
    rows: jax.Array,
    lengths: jax.Array,
    visible: jax.Array,
    prefix_lengths: jax.Array,
) -> tuple[jax.Array, tuple[Cache, KeyValues]]:
    """Attention of B tokens a row that go on, each its own way, from an early place of the row.

    Args:
        kernel: see `shared_attention`.
        query: [G * F, B, H, head_dim].
        new: their keys and values, [G * F, B, K, head_dim].
        kept: the cache, which stays as it is, and the keys and values of the branches' tokens:
            [G * F, K, head_dim, N] and [G * F, K, N, head_dim].
        place: int32 [], where in N the new ones go.
        slots: see `attend_questions`.
        rows: see `attend_questions`.
        lengths: int32 [G, F], tokens of the rows that are seen.
        visible: bool [G * F, B, N], tokens of the branches that are seen.
        prefix_lengths: int32 [G, I].

    Returns:
        [G * F, B, H * head_dim] and what is kept.
    """

    def local(
        query: jax.Array,
        new: KeyValues,
        cache: Cache,
        branches: KeyValues,
        place: jax.Array,
        slots: jax.Array,
        rows: jax.Array,
        lengths: jax.Array,
        visible: jax.Array,
        prefix_lengths: jax.Array,
    ) -> tuple[jax.Array, KeyValues]:
        first = _on_one_prefix(kernel, query, cache, slots, prefix_lengths)
        num_rows = len(cache.own.keys) // prefix_lengths.shape[1]
        row = jnp.minimum(slots[0] * num_rows + rows[0], len(cache.own.keys) - 1)
        own = KeyValues(*(kept[row] for kept in cache.own))
        seen = jnp.arange(own.values.shape[2]) < lengths[0, :, None, None]
        second = own_attention(
            query, *own, jnp.broadcast_to(seen, (*query.shape[:2], *seen.shape[2:]))
        )

        put = jax.lax.dynamic_update_slice_in_dim
        keys = jnp.moveaxis(new.keys, 1, 3).astype(branches.keys.dtype)
        values = jnp.swapaxes(new.values, 1, 2).astype(branches.values.dtype)
        branches = KeyValues(
            put(branches.keys, keys, place, axis=3), put(branches.values, values, place, axis=2)
        )
        third = own_attention(query, *branches, visible)
        return _merge(query, first, second, third), branches

    cache, branches = kept
    heads = _head_axis(new.keys)
    out, branches = _on_own_group(
        local,
        in_specs=(
            *(_tokens(heads), _tokens(heads), _cache(heads), _kept(heads)),
            *(PartitionSpec(), _GROUPS, _GROUPS, _GROUPS, _GROUPS, _GROUPS),
        ),
        out_specs=(_tokens(heads), _kept(heads)),
    )(query, new, cache, branches, place, slots, rows, lengths, visible, prefix_lengths)
    return out, (cache, branches)


def _on_one_prefix(
    kernel: Kernel,
    query: jax.Array,
    cache: Cache,
    slots: jax.Array,
    prefix_lengths: jax.Array,
) -> Partial:
    """Attention of a group's rows, all of which go on from the same prefix, over it."""
    slot = jnp.minimum(slots[0], prefix_lengths.shape[1] - 1)
    prefix = (kept[slot][None] for kept in cache.shared)
    together = query.reshape(1, -1, *query.shape[2:])
    return shared_attention(kernel, together, *prefix, prefix_lengths[:, slot])


def _merge(query: jax.Array, *parts: Partial) -> jax.Array:
    mean, log_sum = query.shape, query.shape[:-1]
    parts = [Partial(part.mean.reshape(mean), part.log_sum.reshape(log_sum)) for part in parts]
    out = merge(*parts).astype(query.dtype)
    return out.reshape(*out.shape[:2], -1)


def _head_axis(keys: jax.Array) -> str | None:
    """The mesh axis over which heads, [..., K, head_dim], are split."""
    ways = jax.sharding.get_abstract_mesh().shape["tensor"]
    return "tensor" if keys.shape[-2] % ways == 0 else None


def _tokens(heads: str | None) -> PartitionSpec:
    """Of [rows, tokens, heads, ...]."""
    return PartitionSpec(BATCH_AXES, None, heads)


def _kept(heads: str | None) -> PartitionSpec:
    """Of [prefixes or rows, K, tokens, head_dim]."""
    return PartitionSpec(BATCH_AXES, heads)


def _cache(heads: str | None) -> Cache:
    return Cache(shared=_kept(heads), own=_kept(heads))
