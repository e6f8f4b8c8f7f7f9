"""Search spaces as a person sees them: which there are and where they come from, and a new one to begin with."""
