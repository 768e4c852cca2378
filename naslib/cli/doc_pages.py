"""Where the docs of what comes with naslib are: a page for each kind, and of optimizers and spaces one of their own."""

from __future__ import annotations

# The page of a kind of thing
PAGES = {
    "spaces": "docs/spaces.md",
    "optimizers": "docs/optimizers.md",
    "parts": "docs/optimizers.md",
    "trial_parts": "docs/trials.md",
    "evaluators": "docs/trials.md",
    "datasets": "docs/data.md",
    "tasks": "docs/tasks.md",
    "benchmarks": "docs/benchmarks.md",
    "predictors": "docs/predictors.md",
    "proxies": "docs/proxies.md",
    "operations": "docs/spaces.md",
    "published": "docs/spaces.md",
    "configs": "docs/config.md",
}
# Pages of docs/methods/, and the methods that they are about
_METHODS = {
    "black_box": "bananas bp la_mcts local_search ls npenas",
    "darts_family": "darts_minus edge_popup fair_darts pc_darts reinmax sdarts_adv sdarts_rs snas",
    "eas": "eas",
    "enas": "enas",
    "evolution": "genetic genetic_cnn hierarchical_evolution nsga2 pareto_search tpe",
    "metadapt": "metadapt",
    "mixed_operations": "binary binary_masked binary_moving_average binary_proxyless_style mixed_op",
    "modnas": "modnas",
    "multi_fidelity": "asha bohb hyperband sh successive_halving",
    "neural_searches": "bonas nao neural_predictor seminas",
    "once_for_all": "ofa",
    "pnas": "pnas",
    "progressive": "drnas p_darts",
    "proposer": "proposer",
    "proxylessnas": "proxyless proxylessnas",
    "reinforcement": "nas_rl ppo q_learning reinforce",
    "robust_darts": "darts_plus darts_pt gsparsity lambda_darts oles robust_darts",
    "smash": "smash",
    "te_nas": "te_nas",
    "training_free": "az_nas",
    "transfer": "transfer_controller",
    "weight_sharing": "fair_nas one_shot oneshot random_nas rs_ws rsws setn spos",
}
_OF_METHOD = {name: f"docs/methods/{page}.md" for page, names in _METHODS.items() for name in names.split()}
# Names of a space whose page has another one's
_SPACES = {"darts": "nasbench301"}


def page_of(kind: str, name: str) -> str:
    """Return the page that is about an entry, from the root of the checkout: `docs/methods/enas.md`.

    Args:
        kind: As in `naslib list`.
        name: Of the entry.
    """
    if kind == "optimizers":
        return _OF_METHOD.get(name, PAGES[kind])
    if kind == "spaces":
        return f"docs/spaces/{_SPACES.get(name, name)}.md"
    return PAGES[kind]
