"""Sets that grow together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class UnionFind(Generic[Item]):
    """Disjoint sets of items; path halving, the smaller set joins the larger."""

    def __init__(self) -> None:
        self._parent: dict[Item, Item] = {}
        self._size: dict[Item, int] = {}

    def find(self, item: Item) -> Item:
        """The representative of the item's set; a new item is a set of its own."""
        parent = self._parent
        if item not in parent:
            parent[item], self._size[item] = item, 1
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def unite(self, items: Iterable[Item]) -> None:
        """Make one set of the sets of these items."""
        roots = [self.find(item) for item in items]
        for root in roots[1:]:
            one, other = self.find(roots[0]), self.find(root)
            if one != other:
                small, large = sorted((one, other), key=self._size.__getitem__)
                self._parent[small] = large
                self._size[large] += self._size[small]

    def groups(self) -> dict[Item, list[Item]]:
        """Every set by its representative, items in the order in which they came."""
        found: dict[Item, list[Item]] = {}
        for item in self._parent:
            found.setdefault(self.find(item), []).append(item)
        return found
