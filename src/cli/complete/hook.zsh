# Profiles, and the command of exec, as vault itself reads the words; all else as above.
_PROGRAM() {
    local -a answer
    local expl
    answer=("${(@f)$(command PROGRAM __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    case $answer[1] in
    profile)
        shift answer
        _wanted profiles expl profile compadd -a answer
        ;;
    command\ *)
        # The program's name is the first of these words, and not among those that vault counts.
        shift $((${answer[1]#command } + 1)) words
        ((CURRENT -= ${answer[1]#command } + 1))
        _normal -p PROGRAM
        ;;
    *)
        _PROGRAM_by_itself "$@"
        ;;
    esac
}

if [ "$funcstack[1]" = "_PROGRAM" ]; then
    _PROGRAM "$@"
else
    compdef _PROGRAM NAMES
fi
