"""Parts of single steps: schedules, scaled losses, and results that are read later."""
