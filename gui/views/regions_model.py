"""Regions as a tree for a view: modules, their regions, the operators of each lane."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from profiler.explanation import Explanation
from profiler.regions import Region

Index = QModelIndex | QPersistentModelIndex
NAME, DOES, BASELINE, CANDIDATE, DIFFERENCE, SHARE = range(6)
NUMBERS = (BASELINE, CANDIDATE, DIFFERENCE, SHARE)
# What a delegate draws as a bar: the value, as a share of the column's largest, from -1 to 1.
BAR_ROLE = Qt.ItemDataRole.UserRole
TREE, KINDS, FLAT = "modules", "kinds of work", "a plain list"


@dataclass
class Item:
    """One line. A module's times are the sums of what is in it; `None`: the lane has nothing."""

    name: str
    does: str = ""
    times_ns: tuple[float | None, float | None] = (None, None)
    parent: Item | None = None
    place: int = 0
    region: Region | None = None
    is_operator: bool = False
    _children: list[Item] = field(default_factory=list)
    _lazy: bool = False

    @property
    def children(self) -> list[Item]:
        """A region's operators are made when they are first asked for."""
        if self._lazy and self.region is not None:
            self._lazy = False
            self._children = _operators(self, self.region)
        return self._children

    @property
    def difference_ns(self) -> float:
        return (self.times_ns[1] or 0.0) - (self.times_ns[0] or 0.0)

    def add(self, child: Item) -> None:
        child.parent, child.place = self, len(self._children)
        self._children.append(child)

    def order(self, key: Callable[[Item], Any], *, reverse: bool) -> None:
        """Sort here and below, so far as it was made."""
        self._children.sort(key=key, reverse=reverse)
        for place, child in enumerate(self._children):
            child.place = place
            child.order(key, reverse=reverse)

    def regions(self) -> Iterator[Region]:
        """All regions here and below."""
        if self.region is not None:
            yield self.region
            return
        for child in self._children:
            yield from child.regions()


def build(regions: Sequence[Region], arrangement: str) -> Item:
    """The root of a tree, by module or by kind of work, or with no groups."""
    root = Item("")
    groups: dict[tuple[str, ...], Item] = {(): root}
    for region in regions:
        path: tuple[str, ...] = ()
        if arrangement == TREE:
            path = region.path
        elif arrangement == KINDS:
            path = (region.signature or "other",)
        owner = _group(groups, path)
        name = region.label if arrangement == TREE else region.name
        times = tuple(
            time if rows else None
            for time, rows in zip(region.timed_ns, region.operators, strict=True)
        )
        item = Item(name, region.signature, (times[0], times[1]), region=region, _lazy=True)
        owner.add(item)
    _add_up(root)
    return _without_single_steps(root)


class RegionsModel(QAbstractItemModel):
    """Columns: region, what it does, both lanes' times, their difference, its share of the gap."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.root = Item("")
        self._headers = ["Region", "Does", "", "", "Difference, µs", "Share of gap"]
        self._gap_ns = 0.0
        self._largest_ns = (1.0, 1.0)
        self._sorted = (DIFFERENCE, Qt.SortOrder.DescendingOrder)

    def show(
        self,
        found: Explanation | None,
        regions: Sequence[Region],
        names: tuple[str, str],
        arrangement: str,
    ) -> None:
        """Take other regions in."""
        self.beginResetModel()
        self.root = build(regions, arrangement)
        self._headers[BASELINE : CANDIDATE + 1] = [f"{name}, µs" for name in names]
        self._gap_ns = found.gap_ns if found else 0.0
        times = [time for region in regions for time in region.timed_ns]
        differences = [abs(region.difference_ns) for region in regions]
        self._largest_ns = (max(times, default=0.0) or 1.0, max(differences, default=0.0) or 1.0)
        self._order(*self._sorted)
        self.endResetModel()

    def item(self, index: Index) -> Item:
        """What stands on a line; the root for an invalid index."""
        found: Item = index.internalPointer() if index.isValid() else self.root
        return found

    def index_of(self, item: Item) -> QModelIndex:
        """Of its first column."""
        return QModelIndex() if item is self.root else self.createIndex(item.place, 0, item)

    def find(self, wanted: Callable[[Region], bool]) -> list[QModelIndex]:
        """Lines of regions."""
        found, pending = [], [self.root]
        while pending:
            item = pending.pop()
            if item.region is not None and wanted(item.region):
                found.append(self.index_of(item))
            elif item.region is None:
                pending += item.children
        return found

    def depth(self, most_lines: int) -> int:
        """How many levels of modules can be open with no more lines than that."""
        level, lines, depth = self.root.children, 0, 0
        while level:
            lines += len(level)
            if lines > most_lines and depth > 1:
                return depth - 1
            level = [child for item in level if item.region is None for child in item.children]
            depth += 1
        return depth

    def share(self, item: Item) -> float:
        """Of the gap, positive where it goes the same way."""
        return item.difference_ns / self._gap_ns if self._gap_ns else 0.0

    def text(self, item: Item, column: int) -> str:
        """What stands in a cell."""
        if column == NAME:
            return item.name
        if column == DOES:
            return item.does
        if column in (BASELINE, CANDIDATE):
            time = item.times_ns[column - BASELINE]
            return "–" if time is None else f"{time / 1e3:,.1f}"
        if item.is_operator:
            return ""
        if column == DIFFERENCE:
            return f"{item.difference_ns / 1e3:+,.1f}"
        return f"{self.share(item) * 100:.1f} %"

    def _order(self, column: int, order: Qt.SortOrder) -> None:
        def key(item: Item) -> Any:
            if column in (NAME, DOES):
                return (item.name, item.does)[column].lower()
            if column in (BASELINE, CANDIDATE):
                return item.times_ns[column - BASELINE] or 0.0
            return abs(item.difference_ns) if column == DIFFERENCE else self.share(item)

        self.root.order(key, reverse=order is Qt.SortOrder.DescendingOrder)

    # Qt overrides

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._sorted = (column, order)
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        items = [self.item(index) for index in before]
        self._order(column, order)
        after = [
            self.createIndex(item.place, index.column(), item)
            for item, index in zip(items, before, strict=True)
        ]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def index(self, row: int, column: int, parent: Index | None = None) -> QModelIndex:
        children = self.item(parent or QModelIndex()).children
        if not 0 <= row < len(children):
            return QModelIndex()
        return self.createIndex(row, column, children[row])

    def parent(self, child: Index | None = None) -> Any:
        if child is None:
            return QObject.parent(self)
        owner = self.item(child).parent
        return QModelIndex() if owner is None else self.index_of(owner)

    def rowCount(self, parent: Index | None = None) -> int:
        if parent is not None and parent.column() > 0:
            return 0
        return len(self.item(parent or QModelIndex()).children)

    def hasChildren(self, parent: Index | None = None) -> bool:
        if parent is not None and parent.column() > 0:
            return False
        item = self.item(parent or QModelIndex())
        return (item.region is not None and not item.is_operator) or bool(item.children)

    def columnCount(self, parent: Index | None = None) -> int:
        del parent
        return len(self._headers)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is Qt.Orientation.Horizontal:
            if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
                return self._headers[section]
            if role == Qt.ItemDataRole.TextAlignmentRole and section in NUMBERS:
                # At the right there is the arrow that tells the order.
                return Qt.AlignmentFlag.AlignCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        item, column = self.item(index), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(item, column)
        if role == BAR_ROLE:
            return self._bar(item, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(item)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in NUMBERS:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _bar(self, item: Item, column: int) -> float | None:
        """Modules and operators have none: a bar compares region with region."""
        if item.region is None or item.is_operator:
            return None
        if column in (BASELINE, CANDIDATE):
            return (item.times_ns[column - BASELINE] or 0.0) / self._largest_ns[0]
        return item.difference_ns / self._largest_ns[1] if column == DIFFERENCE else None


def _group(groups: dict[tuple[str, ...], Item], path: tuple[str, ...]) -> Item:
    if path not in groups:
        owner = _group(groups, path[:-1])
        groups[path] = Item(path[-1])
        owner.add(groups[path])
    return groups[path]


def _operators(owner: Item, region: Region) -> list[Item]:
    found: list[Item] = []
    for lane, rows in enumerate(region.operators):
        scale = region.timed_ns[lane] / region.traced_ns[lane] if region.traced_ns[lane] else 0.0
        for row in rows:
            time = row.traced_ns * scale
            times = (time, None) if lane == 0 else (None, time)
            does = f"{row.op_type}, ≈ by bytes moved" if row.estimated else row.op_type
            found.append(Item(row.name, does, times, owner, len(found), region, is_operator=True))
    return found


def _add_up(item: Item) -> tuple[float | None, float | None]:
    if item.region is None:
        below = [_add_up(child) for child in item.children]
        sums = []
        for lane in (0, 1):
            known = [times[lane] for times in below if times[lane] is not None]
            sums.append(sum(time for time in known if time is not None) if known else None)
        item.times_ns = (sums[0], sums[1])
        count = sum(1 for _ in item.regions())
        item.does = f"{count} region{'s' if count != 1 else ''}"
    return item.times_ns


def _without_single_steps(root: Item) -> Item:
    """`model` with nothing but `encoder` in it is one line, `model.encoder`."""
    for place, child in enumerate(root._children):
        item = child
        while item.region is None and len(item._children) == 1 and item._children[0].region is None:
            inner = item._children[0]
            inner.name = f"{item.name}.{inner.name}"
            item = inner
        item.parent, item.place = root, place
        root._children[place] = item
        if item.region is None:
            _without_single_steps(item)
    return root


def _tip(item: Item) -> str:
    if item.region is None or item.is_operator:
        return f"{item.name}\n{item.does}"
    lines = [item.region.name, item.region.signature]
    for rows in item.region.operators:
        lines.append(", ".join(f"{row.name} ({row.op_type})" for row in rows[:12]) or "–")
    return "\n".join(lines)
