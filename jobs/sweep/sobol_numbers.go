package sweep

// The direction numbers below are the first of new-joe-kuo-6.21201 by S. Joe and F. Y. Kuo, chosen by
// their criterion D(6): "Constructing Sobol sequences with better two-dimensional projections", SIAM
// J. Sci. Comput. 30, 2635–2654 (2008), https://web.maths.unsw.edu.au/~fkuo/sobol/. They come under
// this licence:
//
// Copyright (c) 2008, Frances Y. Kuo and Stephen Joe
// All rights reserved.
//
// Redistribution and use in source and binary forms, with or without modification, are permitted
// provided that the following conditions are met:
//
//   - Redistributions of source code must retain the above copyright notice, this list of conditions
//     and the following disclaimer.
//   - Redistributions in binary form must reproduce the above copyright notice, this list of
//     conditions and the following disclaimer in the documentation and/or other materials provided
//     with the distribution.
//   - Neither the names of the copyright holders nor the names of the University of New South Wales
//     and the University of Waikato and its contributors may be used to endorse or promote products
//     derived from this software without specific prior written permission.
//
// THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS “AS IS” AND ANY EXPRESS OR IMPLIED WARRANTIES,
// INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A
// PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDERS BE LIABLE FOR ANY DIRECT,
// INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO,
// PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS
// INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY,
// OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN
// IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.

// joeKuo are the primitive polynomials and initial numbers of dimensions 2 to 32: degree, inner
// coefficients as bits, and as many m as the degree.
var joeKuo = [maxSobolAxes - 1]struct {
	degree int
	inner  uint32
	m      [7]uint32
}{
	{1, 0, [7]uint32{1}},
	{2, 1, [7]uint32{1, 3}},
	{3, 1, [7]uint32{1, 3, 1}},
	{3, 2, [7]uint32{1, 1, 1}},
	{4, 1, [7]uint32{1, 1, 3, 3}},
	{4, 4, [7]uint32{1, 3, 5, 13}},
	{5, 2, [7]uint32{1, 1, 5, 5, 17}},
	{5, 4, [7]uint32{1, 1, 5, 5, 5}},
	{5, 7, [7]uint32{1, 1, 7, 11, 19}},
	{5, 11, [7]uint32{1, 1, 5, 1, 1}},
	{5, 13, [7]uint32{1, 1, 1, 3, 11}},
	{5, 14, [7]uint32{1, 3, 5, 5, 31}},
	{6, 1, [7]uint32{1, 3, 3, 9, 7, 49}},
	{6, 13, [7]uint32{1, 1, 1, 15, 21, 21}},
	{6, 16, [7]uint32{1, 3, 1, 13, 27, 49}},
	{6, 19, [7]uint32{1, 1, 1, 15, 7, 5}},
	{6, 22, [7]uint32{1, 3, 1, 15, 13, 25}},
	{6, 25, [7]uint32{1, 1, 5, 5, 19, 61}},
	{7, 1, [7]uint32{1, 3, 7, 11, 23, 15, 103}},
	{7, 4, [7]uint32{1, 3, 7, 13, 13, 15, 69}},
	{7, 7, [7]uint32{1, 1, 3, 13, 7, 35, 63}},
	{7, 8, [7]uint32{1, 3, 5, 9, 1, 25, 53}},
	{7, 14, [7]uint32{1, 3, 1, 13, 9, 35, 107}},
	{7, 19, [7]uint32{1, 3, 1, 5, 27, 61, 31}},
	{7, 21, [7]uint32{1, 1, 5, 11, 19, 41, 61}},
	{7, 28, [7]uint32{1, 3, 5, 3, 3, 13, 69}},
	{7, 31, [7]uint32{1, 1, 7, 13, 1, 19, 1}},
	{7, 32, [7]uint32{1, 3, 7, 5, 13, 19, 59}},
	{7, 37, [7]uint32{1, 1, 3, 9, 25, 29, 41}},
	{7, 41, [7]uint32{1, 3, 5, 13, 23, 1, 55}},
	{7, 42, [7]uint32{1, 3, 7, 3, 13, 59, 17}},
}
