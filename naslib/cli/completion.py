"""`naslib completion`: scripts that let bash, zsh and fish complete the words of naslib."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from naslib.config.parser import CommandParser

_EPILOG = """\
examples:
  naslib completion bash        what goes into ~/.bashrc: eval "$(naslib completion bash)"
  naslib completion zsh         into ~/.zshrc, after compinit: eval "$(naslib completion zsh)"
  naslib completion fish        into ~/.config/fish/config.fish: naslib completion fish | source

Completed are commands, options, configs, run folders, the keys of a config (search.epochs=), and after optimizer=,
search_space=, dataset=, task= the names of what there is.
"""
# Asks for candidates: the words after `naslib` follow, the last one is what has been written of the next
ASK = "--words"
# In bash `=` and `:` part words: what stands before the last of them is not repeated in an answer.
_BASH = """\
_naslib() {
    local line="${COMP_LINE:0:COMP_POINT}" word stem found
    local -a words
    read -ra words <<< "$line"
    [[ "$line" == *' ' ]] && words+=("")
    word="${words[${#words[@]}-1]}"
    stem=""
    [[ "$word" == *[=:]* ]] && stem="${word%"${word##*[=:]}"}"
    COMPREPLY=()
    while IFS= read -r found; do
        COMPREPLY+=("${found#"$stem"}")
    done < <("${words[0]}" completion --words "${words[@]:1}" 2>/dev/null)
}
complete -o nospace -F _naslib naslib
"""
_ZSH = """\
#compdef naslib
_naslib() {
    local -a whole open
    local word
    for word in "${(@f)$("${words[1]}" completion --words "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}"; do
        [[ -z "$word" ]] && continue
        if [[ "$word" == *' ' ]]; then whole+=("${word% }"); else open+=("$word"); fi
    done
    (( ${#whole} )) && compadd -- "${whole[@]}"
    (( ${#open} )) && compadd -S '' -- "${open[@]}"
    return 0
}
if [[ "${funcstack[1]}" == "_naslib" ]]; then _naslib "$@"; else compdef _naslib naslib; fi
"""
# fish itself puts a blank behind a word that does not end in `=`, `/` and the like
_FISH = """\
function __naslib_words
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    $before[1] completion --words $before[2..-1] "$current" 2>/dev/null | string trim --right
end
complete -c naslib -f -a '(__naslib_words)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def main(words: Sequence[str]) -> int:
    """Print a script, or what the next word may be.

    Raises:
        ConfigError: For a shell that there is no script for.
    """
    if words and words[0] == ASK:
        from .candidates import candidates

        sys.stdout.write("".join(f"{word}\n" for word in candidates(words[1:])))
        return 0
    parser = CommandParser(
        prog="naslib completion",
        description="Print a script for a shell.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", choices=tuple(SCRIPTS), metavar="SHELL", help=f"one of {', '.join(SCRIPTS)}")
    sys.stdout.write(SCRIPTS[parser.parse_args(list(words)).shell])
    return 0
