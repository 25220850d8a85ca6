"""Finding the latents of images: arithmetic, loop, targets, results, grid."""
