"""Cells of blocks as graphs: where states, branches and blocks are, and what makes the output.

Nodes 1 and 2 are the inputs. Block k has two branch nodes, 3 + 3 k and 4 + 3 k, which one edge enters, with an
operation, from a state; and the node 5 + 3 k that combines them. The last node is the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.combine import channel_concat
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph

from .genotype import BlockCell
from .macro import Place
from .primitives import fitted, make
from .rules import OutputRule


def node_of_state(state: int) -> int:
    """Return the node of a state of a genotype."""
    return state + 1 if state < 2 else 3 * state - 1


def state_of_node(node: int) -> int:
    """Return the state of a node, the inverse of `node_of_state`."""
    return node - 1 if node < 3 else (node + 1) // 3


def branch_node(block: int, branch: int) -> int:
    """Return the node of a branch, 0 or 1, of a block."""
    return 3 + 3 * block + branch


def block_node(block: int) -> int:
    """Return the node that combines the branches of a block."""
    return node_of_state(2 + block)


def branches(blocks: int) -> Iterator[tuple[int, int, list[int]]]:
    """Yield the position in a genotype, the node, and the nodes of the states that it may read, of every branch."""
    for block in range(blocks):
        sources = [node_of_state(state) for state in range(2 + block)]
        for branch in range(2):
            yield 2 * block + branch, branch_node(block, branch), sources


def blocks_of(cell: Graph) -> int:
    """Return the number of blocks of a cell."""
    return (max(cell.nodes) - 3) // 3


def empty_cell(name: str, blocks: int) -> Graph:
    """Return a cell without the edges of its branches."""
    cell = Graph(name=name)
    output = 3 + 3 * blocks
    cell.add_nodes_from(range(1, output + 1))
    for block in range(blocks):
        node = block_node(block)
        cell.add_edges_from((branch_node(block, branch), node, EdgeData().finalize()) for branch in range(2))
        cell.add_edge(node, output, EdgeData().finalize())
        cell.nodes[node]["label"] = f"{node}\nstate {2 + block}"
    cell.nodes[output]["comb_op"] = channel_concat
    for node, label in ((1, "c_{k-2}"), (2, "c_{k-1}"), (output, "c_{k}")):
        cell.nodes[node]["label"] = label
    return cell


def read_states(cell: Graph) -> list[int]:
    """Return the states that the branches of a cell read, which has one edge into each; none by those cut off."""
    nodes = [node for _, node, _ in branches(blocks_of(cell)) if node in cell]
    return [state_of_node(source) for node in nodes for source in cell.predecessors(node)]


def cut_off(cell: Graph, blocks: int) -> None:
    """Remove all blocks of a discrete cell but the first ones."""
    first, output = block_node(blocks - 1) + 1, max(cell.nodes)
    for node in range(first, output):
        cell.remove_node(node)  # type: ignore[operator]


def follow_rule(cell: Graph, rule: OutputRule) -> None:
    """Let a discrete cell of a search network give out what the rule says.

    What follows has the weights of the supernet, which read all blocks: zeros stand for those that are not given out,
    and for those that were cut off.
    """
    if rule.fixed:  # as in the supernet
        return
    blocks, output, read = blocks_of(cell), max(cell.nodes), set(read_states(cell))
    there = sum(block_node(block) in cell for block in range(blocks))
    unread = [node for node in (1, 2) if state_of_node(node) not in read]
    if there == 1 < blocks and not unread:  # one input alone would not be combined with the zeros
        unread = [1]
    new = [node for node in unread if not cell.has_edge(node, output)]  # the rule may be followed again
    cell.add_edges_from((node, output, EdgeData().finalize()) for node in new)
    given = [block for block in range(there) if rule.name == "all" or 2 + block not in read]
    if unread or len(given) < blocks:
        positions = [len(unread) + block for block in given]
        cell.nodes[output]["comb_op"] = ops.ConcatWithZeros(positions, len(unread), blocks - there)


def fix_output(cell: Graph, states: Sequence[int], widths: tuple[int, int], C: int, strided: bool) -> None:
    """Let a cell give out some of its states, whatever its blocks read.

    All states have an edge to the output, so that none becomes an output of the network by itself.

    Args:
        cell: The cell.
        states: Those that it gives out.
        widths: Channels of its inputs.
        C: Channels of its blocks.
        strided: Whether it is a reduction cell.
    """
    output = max(cell.nodes)
    for state in (0, 1):
        op = fitted(widths[state], C, strided) if state in states else ops.Identity()
        cell.add_edge(node_of_state(state), output, EdgeData({"op": op}).finalize())
    if len(states) < 2 + blocks_of(cell):
        cell.nodes[output]["comb_op"] = ops.ConcatOfSome(states)


def discrete_cell(cell: BlockCell, place: Place, drop_path: str = "scheduled") -> Graph:
    """Return the cell of a network that is trained from scratch, which gives out the states that its genotype says.

    Args:
        cell: The cell.
        place: Where it is.
        drop_path: `"scheduled"` (deeper cells drop more) or `"uniform"`.
    """
    C, blocks = place.channels, cell.blocks
    graph = empty_cell("reduction_cell" if place.is_reduction else "normal_cell", blocks)
    depth = (place.index + 1) / place.total if drop_path == "scheduled" else 1.0
    for position, node, _ in branches(blocks):
        name, state = cell.edges[position]
        strided = place.is_reduction and state < 2
        op = make(name, place.widths[state] if state < 2 else C, C, 2 if strided else 1, search=False)
        source = node_of_state(state)
        graph.add_edge(source, node)
        graph.edges[source, node].set("op", op if isinstance(op, ops.Identity) else ops.DropPath(op, depth=depth))
    for block, combine in enumerate(cell.combine):
        if combine == "concat":
            graph.nodes[block_node(block)]["comb_op"] = ops.Concat1x1(2, C)
    fix_output(graph, cell.concat, place.widths, C, place.is_reduction)
    return graph
