"""Applications of wsframe that are measured: ordinary ones, with everything switched on."""
