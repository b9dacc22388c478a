"""The producer's room: declaring kinds, the ambient request, starting a session."""
