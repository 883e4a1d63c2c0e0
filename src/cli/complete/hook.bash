# Profiles, and the command of exec, as vault itself reads the words; all else as above.
_FUNCTION_at() {
    local words=() starts=() rest=$COMP_LINE part i
    # COMP_WORDS are cut at COMP_WORDBREAKS, too: a:b and --a=b are three words there, and one here.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        part=${COMP_WORDS[i]}
        if ((i == 0)) || [[ $rest == [[:space:]]* ]]; then
            words+=("$part")
            starts+=("$i")
        else
            words[${#words[@]} - 1]+=$part
        fi
        rest=${rest#"${rest%%[![:space:]]*}"}
        rest=${rest#"$part"}
    done

    local answer=() word name cut
    mapfile -t answer < <(command PROGRAM __complete -- "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    case ${answer[0]-} in
    profile)
        compopt +o default +o bashdefault 2>/dev/null
        word=${words[${#words[@]} - 1]}
        # What stands before the part that bash wants to have completed.
        cut=${word%"$2"} cut=${cut//\\/}
        for name in "${answer[@]:1}"; do
            # What is inserted is read by the shell again; inside of quotes only what needs none.
            printf -v part %q "${name#"${cut#[\'\"]}"}"
            case $word in
            [\'\"]*) [[ $name == "${word:1}"* && $name == *"$part" ]] && COMPREPLY+=("$part") ;;
            *) [[ $name == "${word//\\/}"* ]] && COMPREPLY+=("$part") ;;
            esac
        done
        ;;
    command\ *)
        i=${starts[${answer[0]#command } + 1]}
        if declare -F _comp_command_offset >/dev/null; then
            _comp_command_offset "$i"
        elif declare -F _command_offset >/dev/null; then
            _command_offset "$i"
        elif ((COMP_CWORD == i)); then
            mapfile -t COMPREPLY < <(compgen -c -- "$2")
        fi
        ;;
    *)
        _PROGRAM "$@"
        ;;
    esac
}

complete -F _FUNCTION_at -o nosort -o bashdefault -o default NAMES
