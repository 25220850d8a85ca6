// The transforms of Winograd's F(2x2,3x3) (Lavin and Gray 2016, arXiv:1509.09308), which turn 3x3
// convolutions into products of matrices; also for a stride of 2; C interface, float32, NHWC.
//
// An image is cut into tiles of `size` x `size` pixels, every `step` pixels. Of each tile
//
//   plane[p, q] = sum_i sum_j L[p, i] * L[q, j] * tile[i, j],
//
// and the adjoint adds up sum_p sum_q L[p, i] * L[q, j] * plane[p, q] where tiles overlap. With the
// planes U = (G x G) w of the weights, for L of the inputs, B, and of the outputs, A,
//
//   conv(x, w) = adjoint_A(B(x) U),
//   its gradients are adjoint_B(A(dy) U') and (G x G)' (B(x)' A(dy)).
//
//   convolution  planes  B: size, step  A: size, step  products per output  of a plain one's
//   stride 1       16         4, 2           2, 2              4                   9
//   stride 2       25         5, 4           2, 2              6.25                9
//
// The rows of G:
//   stride 1: (1, 0, 0), (1, 1, 1) / 2, (1, -1, 1) / 2, (0, 0, 1)
//   stride 2: (1, 0, 0), (1, 0, 1), (0, 0, 1), (0, 1, 0), (0, 1, 0)
#ifndef STYLEGAN2_KERNELS_WINOGRAD_H_
#define STYLEGAN2_KERNELS_WINOGRAD_H_

#include "parallel.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sg_winograd_matrix {
  SG_WINOGRAD_INPUT_1 = 0,
  SG_WINOGRAD_OUTPUT_1 = 1,  // stride 1
  SG_WINOGRAD_INPUT_2 = 2,
  SG_WINOGRAD_OUTPUT_2 = 3  // stride 2
};

enum { SG_WINOGRAD_CHANNELS = 16 };  // their number is a multiple of this

typedef struct sg_winograd_spec {
  int64_t images, height, width, channels;
  int64_t tile_rows, tile_columns;
  int32_t pad;     // the first tile starts so far above and left of the image; zeros are outside
  int32_t matrix;  // sg_winograd_matrix
} sg_winograd_spec;

// Planes per axis: the number of all is its square. 0: unknown matrix.
static inline int64_t sg_winograd_planes(int32_t matrix) {
  return matrix < 0 || matrix > 3 ? 0 : matrix < 2 ? 4 : 5;
}

// x: [images, height, width, channels]. planes: [planes, images * tile_rows * tile_columns,
// channels]. Pixels of no tile become 0 in the adjoint.
int sg_winograd_cpu(const sg_winograd_spec* spec, const float* x, float* planes,
                    sg_parallel_for parallel_for, void* pool);
int sg_winograd_adjoint_cpu(const sg_winograd_spec* spec, const float* planes, float* x,
                            sg_parallel_for parallel_for, void* pool);

#ifdef __cplusplus
}
#endif
#endif
