name = Permis de zone à faibles émissions
description = L’autorisation de conduire un véhicule dans la zone à faibles émissions d’une ville.
source = Le service de la circulation de la ville : apportez le certificat d’immatriculation.

claim-zone = Zone
    .description = La zone où vous pouvez conduire.
claim-registrationNumber = Immatriculation
    .description = Le numéro sur la plaque du véhicule.
claim-emissionClass = Norme d’émission
    .description = Le niveau de pollution du moteur.

value-emissionClass-electric = Électrique
