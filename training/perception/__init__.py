"""Networks that look at images: features of metrics, perceptual losses."""
