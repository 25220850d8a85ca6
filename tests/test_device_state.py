"""States name the variables of devices by the device's number among those of all workers."""

import pytest

from training import device_state


@pytest.mark.parametrize(
    'name, offset, want',
    [
        ('G/dlatent_avg', 0, 'G/dlatent_avg'),
        ('G/dlatent_avg', 1, 'G_shadow/dlatent_avg'),
        ('G/dlatent_avg', 3, 'G_shadow_2/dlatent_avg'),
        ('D_shadow/lod', 2, 'D_shadow_2/lod'),
        ('D_shadow_2/lod', None, 'D/lod'),
        ('GPU1/G_loss/PathReg/pl_mean', 2, 'GPU3/G_loss/PathReg/pl_mean'),
        ('TrainG/loss_scaling_var', 2, 'TrainG/loss_scaling_var_2'),
        ('TrainG/loss_scaling_var_1', 2, 'TrainG/loss_scaling_var_3'),
        ('D_shadow/4x4/Conv/weight/TrainD_opt1_1', None, 'D/4x4/Conv/weight/TrainD_opt0_1'),
        ('TrainG/Apply1/beta2_power', 1, 'TrainG/Apply2/beta2_power'),
        ('Gs/dlatent_avg', 3, 'Gs/dlatent_avg'),
        ('G_synthesis/4x4/Const/const', 1, 'G_synthesis_2/4x4/Const/const'),
        ('G_mapping_2/Dense0/bias', 2, 'G_mapping_4/Dense0/bias'),
        ('G_mapping_2/Dense0/bias', None, 'G_mapping/Dense0/bias'),
        ('G_mapping_1/Dense0/bias', 2, 'G_mapping_1/Dense0/bias'),  # of Gs
        ('Random/training', 3, 'Random/training'),
        ('Augmentation/signs1', 2, 'Augmentation/signs3'),
    ],
)
def test_a_variable_is_found_on_another_device(name, offset, want):
    assert device_state.renumbered(name, offset) == want
