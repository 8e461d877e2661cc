//! foca wrapped: identity, codec, guards, watchdog
